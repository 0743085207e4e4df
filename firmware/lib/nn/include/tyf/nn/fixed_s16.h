/**
 * Arithmetic of the int16 kernels with int8 weights. The twins in Python are requantize and requantize_wide of
 * tinyfleet_codegen/quant.py.
 *
 *     const int64_t sum = tyf_dot_s16(input, weights, depth);
 *     int32_t q = tyf_requantize_wide(sum + bias, multiplier, shift);
 */
#ifndef TYF_NN_FIXED_S16_H
#define TYF_NN_FIXED_S16_H

#include <stdint.h>

#include "tyf/nn/fixed.h"

/** x * multiplier / 2^right, ties up; |x| < 2^47, multiplier in [0, 2^15), right in [1, 62]. Wraps to int32. */
static inline int32_t tyf_requantize_wide(int64_t x, int32_t multiplier, int32_t right) {
    return (int32_t)(((x * multiplier >> (right - 1)) + 1) >> 1);
}

/** Sum of products. */
static inline int64_t tyf_dot_s16(const int16_t *values, const int8_t *weights, int32_t count) {
    int64_t sum = 0;
    for (int32_t first = 0; first < count; first += 256) {
        const int32_t end = count - first < 256 ? count : first + 256;
        int32_t part = 0; /* at most 256 * 2^15 * 2^7 */
        for (int32_t i = first; i < end; i++) {
            part += values[i] * weights[i];
        }
        sum += part;
    }
    return sum;
}

/** What makes outputs of sums, per channel: either the wide members or the narrow ones, and shifts. */
typedef struct {
    const int64_t *wide_bias;
    const int16_t *wide_multiplier;
    const int32_t *narrow_bias;
    const int32_t *narrow_multiplier;
    const int8_t *shift;
} tyf_scales_s16;

/** The output of an int64 sum, not yet clamped. */
static inline int32_t tyf_finish_wide(const tyf_scales_s16 *s, int32_t channel, int64_t sum) {
    return tyf_requantize_wide(sum + s->wide_bias[channel], s->wide_multiplier[channel], s->shift[channel]);
}

/** The output of a sum that wraps to int32, as the oracle's does, not yet clamped. */
static inline int32_t tyf_finish_narrow(const tyf_scales_s16 *s, int32_t channel, int64_t sum) {
    const int32_t total = (int32_t)((uint32_t)sum + (uint32_t)s->narrow_bias[channel]);
    return tyf_requantize(total, s->narrow_multiplier[channel], s->shift[channel]);
}

typedef int32_t (*tyf_finish_s16_fn)(const tyf_scales_s16 *scales, int32_t channel, int64_t sum);

#endif
