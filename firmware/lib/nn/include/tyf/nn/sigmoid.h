/**
 * Logistic and hyperbolic tangent of int16 from one table of 256 values; the twin in Python, which also makes the
 * table, is tinyfleet_codegen/sigmoid_table.py.
 *
 *     int16_t gate = tyf_logistic_q15(table, 3 * x);   x in Q3.12, gate in Q0.15
 */
#ifndef TYF_NN_SIGMOID_H
#define TYF_NN_SIGMOID_H

#include <stdint.h>

/** Between two entries, of which each is 2^fraction_bits of the magnitude; `flat` from the last one on. Modulo 2^32. */
static inline uint32_t tyf_sigmoid_between(const uint16_t *table, uint32_t magnitude, uint32_t fraction_bits,
                                           uint32_t flat) {
    const uint32_t entry = magnitude >> fraction_bits;
    const uint32_t fraction = magnitude & ((UINT32_C(1) << fraction_bits) - 1u);
    if (entry >= 255u) {
        return flat;
    }
    const uint32_t low = table[entry], high = table[entry + 1u];
    return (low << fraction_bits) + fraction * (high - low);
}

static inline uint32_t tyf_sigmoid_magnitude(int32_t x) {
    return x < 0 ? 0u - (uint32_t)x : (uint32_t)x;
}

/** 1 / (1 + exp(-x)) in Q0.15; 1.0 is 3 * 2^12. */
static inline int16_t tyf_logistic_q15(const uint16_t *table, int32_t x) {
    const uint32_t half = tyf_sigmoid_between(table, tyf_sigmoid_magnitude(x), 9u, UINT32_C(0x7fff) << 10);
    const uint32_t result = x >= 0 ? half + 512u : (UINT32_C(1) << 25) - half + 511u;
    return (int16_t)(result >> 10);
}

/** tanh(x) in Q0.15; 1.0 is 3 * 2^12. */
static inline int16_t tyf_tanh_q15(const uint16_t *table, int32_t x) {
    const int32_t half = (int32_t)tyf_sigmoid_between(table, tyf_sigmoid_magnitude(x), 8u, UINT32_C(0xffff) << 8);
    const int32_t result = x >= 0 ? half - (1 << 23) + 128 : (1 << 23) - half + 127;
    return (int16_t)(result >> 8);
}

#endif
