/* SOFTMAX, int8, portable. The twin in Python is tinyfleet_codegen/fixed_point.py, which names the constants' meaning.
 */
#include "tyf/nn/fixed.h"
#include "tyf/nn/kernels.h"

#define INPUT_INTEGER_BITS 5
#define SUM_INTEGER_BITS 12

static int32_t saturating_shift_left(int32_t x, int32_t exponent) {
    const int64_t wide = (int64_t)x * (INT64_C(1) << exponent);
    return wide > INT32_MAX ? INT32_MAX : wide < INT32_MIN ? INT32_MIN : (int32_t)wide;
}

/* exp(a) for a in [-1/4, 0), Q0.31 to Q0.31: Taylor of degree 4 around -1/8. */
static int32_t exp_near_zero(int32_t a) {
    const int32_t exp_minus_1_8 = 1895147668;
    const int32_t one_third = 715827883;
    const int32_t x = a + (1 << 28);
    const int32_t x2 = tyf_rounding_doubling_high_mul(x, x);
    const int32_t x3 = tyf_rounding_doubling_high_mul(x2, x);
    const int32_t x4_over_4 = tyf_rounding_shift_right(tyf_rounding_doubling_high_mul(x2, x2), 2);
    const int32_t tail = tyf_rounding_shift_right(tyf_rounding_doubling_high_mul(x4_over_4 + x3, one_third) + x2, 1);
    return exp_minus_1_8 + tyf_rounding_doubling_high_mul(exp_minus_1_8, x + tail);
}

/* exp(a) for a <= 0 in Q5.26, result in Q0.31. */
static int32_t exp_on_negative_value(int32_t a) {
    /* exp(-2^(i - 2)) in Q0.31 */
    static const int32_t factors[7] = {1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242};
    const int32_t fractional_bits = 31 - INPUT_INTEGER_BITS;
    const int32_t quarter = 1 << (fractional_bits - 2);
    if (a == 0) {
        return INT32_MAX;
    }
    const int32_t in_quarter = (a & (quarter - 1)) - quarter;
    const int32_t remainder = in_quarter - a;
    int32_t result = exp_near_zero(saturating_shift_left(in_quarter, INPUT_INTEGER_BITS));
    for (int32_t i = 0; i < 7; i++) {
        if ((remainder & (int32_t)(UINT32_C(1) << (fractional_bits - 2 + i))) != 0) {
            result = tyf_rounding_doubling_high_mul(result, factors[i]);
        }
    }
    return result;
}

/* 1 / (1 + a) for a in [0, 1), Q0.31 to Q0.31: three Newton steps in Q2.29. */
static int32_t one_over_one_plus(int32_t a) {
    const int32_t c48_over_17 = 1515870810;
    const int32_t c32_over_17 = 1010580540;
    const int32_t half_denominator = (int32_t)(((int64_t)a + INT32_MAX + 1) / 2);
    int32_t x = c48_over_17 + tyf_rounding_doubling_high_mul(half_denominator, -c32_over_17);
    for (int32_t i = 0; i < 3; i++) {
        const int32_t error = (1 << 29) - tyf_rounding_doubling_high_mul(half_denominator, x);
        x += saturating_shift_left(tyf_rounding_doubling_high_mul(x, error), 2);
    }
    return saturating_shift_left(x, 1);
}

/* Zeros above the highest set bit; x > 0. */
static int32_t leading_zeros(uint32_t x) {
    int32_t count = 0;
    while ((x & UINT32_C(0x80000000)) == 0) {
        x <<= 1;
        count++;
    }
    return count;
}

static int32_t exp_of_difference(const tyf_softmax_s8_params *p, int32_t difference) {
    return exp_on_negative_value(tyf_requantize(difference, p->multiplier, p->left_shift));
}

static void softmax_row(const tyf_softmax_s8_params *p, const int8_t *input, int8_t *output) {
    int32_t largest = INT8_MIN;
    for (int32_t i = 0; i < p->depth; i++) {
        largest = input[i] > largest ? input[i] : largest;
    }
    int32_t sum = 0; /* Q12.19: at most 511 terms of at most 1, so that the exponent below is at most 31 */
    for (int32_t i = 0; i < p->depth; i++) {
        if (input[i] - largest >= p->smallest_difference) {
            sum += tyf_rounding_shift_right(exp_of_difference(p, input[i] - largest), SUM_INTEGER_BITS);
        }
    }
    const int32_t headroom = leading_zeros((uint32_t)sum);
    const int32_t inverse = one_over_one_plus((int32_t)(((uint32_t)sum << headroom) - (UINT32_C(1) << 31)));
    const int32_t exponent = SUM_INTEGER_BITS - headroom + 31 - 8;
    for (int32_t i = 0; i < p->depth; i++) {
        int32_t result = INT8_MIN;
        if (input[i] - largest >= p->smallest_difference) {
            const int32_t product = tyf_rounding_doubling_high_mul(inverse, exp_of_difference(p, input[i] - largest));
            result = tyf_clamp(tyf_rounding_shift_right(product, exponent) + INT8_MIN, INT8_MIN, INT8_MAX);
        }
        output[i] = (int8_t)result;
    }
}

void tyf_softmax_s8(const tyf_softmax_s8_params *p, const int8_t *input, int8_t *output) {
    for (int32_t row = 0; row < p->rows; row++) {
        softmax_row(p, input + row * p->depth, output + row * p->depth);
    }
}
