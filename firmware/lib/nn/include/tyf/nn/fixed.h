/**
 * Fixed-point arithmetic that every int8 kernel rounds with. The twin in Python is tinyfleet_codegen/quant.py.
 *
 *     int32_t q = tyf_requantize(sum, multiplier, shift) + output_offset;
 */
#ifndef TYF_NN_FIXED_H
#define TYF_NN_FIXED_H

#include <stdint.h>

/** round(a * b / 2^31), ties away from zero. INT32_MIN * INT32_MIN saturates to INT32_MAX. */
static inline int32_t tyf_rounding_doubling_high_mul(int32_t a, int32_t b) {
    if (a == INT32_MIN && b == INT32_MIN) {
        return INT32_MAX;
    }
    const int64_t product = (int64_t)a * b;
    const int64_t nudge = product >= 0 ? INT64_C(1) << 30 : 1 - (INT64_C(1) << 30);
    return (int32_t)((product + nudge) / (INT64_C(1) << 31));
}

/** round(x / 2^exponent), ties away from zero; exponent in [0, 31]. */
static inline int32_t tyf_rounding_shift_right(int32_t x, int32_t exponent) {
    const int32_t mask = (int32_t)((UINT32_C(1) << exponent) - 1u);
    const int32_t remainder = x & mask;
    const int32_t threshold = (mask >> 1) + (x < 0 ? 1 : 0);
    return (x >> exponent) + (remainder > threshold ? 1 : 0);
}

/** x * multiplier * 2^(shift - 31) with two roundings; a shift > 0 is applied first, modulo 2^32. */
static inline int32_t tyf_requantize(int32_t x, int32_t multiplier, int32_t shift) {
    const int32_t left = shift > 0 ? shift : 0;
    const int32_t right = shift > 0 ? 0 : -shift;
    const int32_t shifted = (int32_t)((uint32_t)x << left);
    return tyf_rounding_shift_right(tyf_rounding_doubling_high_mul(shifted, multiplier), right);
}

static inline int32_t tyf_clamp(int32_t x, int32_t low, int32_t high) {
    return x < low ? low : x > high ? high : x;
}

#endif
