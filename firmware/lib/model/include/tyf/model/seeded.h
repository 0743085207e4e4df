/**
 * Inputs that host and device both make from a seed (tinyfleet_codegen/wire/seeded.py).
 *
 *     tyf_seeded_input(seed, 2, model.input_dtype, arena + model.input_offset, model.input_bytes);
 */
#ifndef TYF_MODEL_SEEDED_H
#define TYF_MODEL_SEEDED_H

#include <stdint.h>

/**
 * Fill an input tensor.
 *
 * @param seed        any number
 * @param case_index  which input of that seed; 0 is all -128, 1 all 127
 * @param dtype       a tyf_dtype; for float32 each byte of the stream gives one value, int8 / 16
 * @param data        bytes of the tensor, aligned for dtype
 * @param bytes       its size
 */
void tyf_seeded_input(uint32_t seed, uint32_t case_index, uint8_t dtype, void *data, uint32_t bytes);

#endif
