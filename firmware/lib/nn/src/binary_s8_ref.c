/* Functions of two int8 tensors that broadcast, portable. */
#include "tyf/nn/fixed.h"
#include "tyf/nn/kernels.h"

/* Both inputs of ADD and SUB are scaled up by this power of two; |q - zero_point| <= 255 leaves 3 bits to spare. */
#define SUM_SHIFT 20
/* Of SQUARED_DIFFERENCE: each scaled input is below 2^14, so the square of their difference is below 2^30. */
#define SQUARE_SHIFT 7

#define INLINE static inline __attribute__((always_inline))

/* Result of two elements, without the output's zero point. */
typedef int32_t (*combine_fn)(const tyf_binary_s8_params *p, int32_t a, int32_t b);

/* combine is a constant at every call, so that it becomes part of the loop. */
INLINE void for_each(const tyf_binary_s8_params *p, const int8_t *a, const int8_t *b, int8_t *output,
                     combine_fn combine) {
    for (int32_t i = 0; i < p->dims[0]; i++) {
        for (int32_t j = 0; j < p->dims[1]; j++) {
            for (int32_t k = 0; k < p->dims[2]; k++) {
                const int8_t *row_a = a + i * p->a.strides[0] + j * p->a.strides[1] + k * p->a.strides[2];
                const int8_t *row_b = b + i * p->b.strides[0] + j * p->b.strides[1] + k * p->b.strides[2];
                for (int32_t l = 0; l < p->dims[3]; l++) {
                    const int32_t value_a = row_a[l * p->a.strides[3]] + p->a.offset;
                    const int32_t value_b = row_b[l * p->b.strides[3]] + p->b.offset;
                    const int32_t result = combine(p, value_a, value_b) + p->output_offset;
                    *output++ = (int8_t)tyf_clamp(result, p->activation_min, p->activation_max);
                }
            }
        }
    }
}

INLINE int32_t scaled(const tyf_binary_s8_input *in, int32_t value, int32_t shift) {
    return tyf_requantize(value * (1 << shift), in->multiplier, in->shift);
}

INLINE int32_t add(const tyf_binary_s8_params *p, int32_t a, int32_t b) {
    return tyf_requantize(scaled(&p->a, a, SUM_SHIFT) + scaled(&p->b, b, SUM_SHIFT), p->output_multiplier,
                          p->output_shift);
}

INLINE int32_t sub(const tyf_binary_s8_params *p, int32_t a, int32_t b) {
    return tyf_requantize(scaled(&p->a, a, SUM_SHIFT) - scaled(&p->b, b, SUM_SHIFT), p->output_multiplier,
                          p->output_shift);
}

INLINE int32_t mul(const tyf_binary_s8_params *p, int32_t a, int32_t b) {
    return tyf_requantize(a * b, p->output_multiplier, p->output_shift);
}

INLINE int32_t squared_difference(const tyf_binary_s8_params *p, int32_t a, int32_t b) {
    const int32_t difference = scaled(&p->a, a, SQUARE_SHIFT) - scaled(&p->b, b, SQUARE_SHIFT);
    return tyf_requantize(difference * difference, p->output_multiplier, p->output_shift);
}

INLINE int32_t minimum(const tyf_binary_s8_params *p, int32_t a, int32_t b) {
    (void)p;
    return a < b ? a : b;
}

INLINE int32_t maximum(const tyf_binary_s8_params *p, int32_t a, int32_t b) {
    (void)p;
    return a > b ? a : b;
}

INLINE int32_t prelu(const tyf_binary_s8_params *p, int32_t a, int32_t b) {
    return a >= 0 ? tyf_requantize(a, p->a.multiplier, p->a.shift)
                  : tyf_requantize(a * b, p->output_multiplier, p->output_shift);
}

void tyf_add_s8(const tyf_binary_s8_params *p, const int8_t *a, const int8_t *b, int8_t *output) {
    for_each(p, a, b, output, add);
}

void tyf_sub_s8(const tyf_binary_s8_params *p, const int8_t *a, const int8_t *b, int8_t *output) {
    for_each(p, a, b, output, sub);
}

void tyf_mul_s8(const tyf_binary_s8_params *p, const int8_t *a, const int8_t *b, int8_t *output) {
    for_each(p, a, b, output, mul);
}

void tyf_squared_difference_s8(const tyf_binary_s8_params *p, const int8_t *a, const int8_t *b, int8_t *output) {
    for_each(p, a, b, output, squared_difference);
}

void tyf_minimum_s8(const tyf_binary_s8_params *p, const int8_t *a, const int8_t *b, int8_t *output) {
    for_each(p, a, b, output, minimum);
}

void tyf_maximum_s8(const tyf_binary_s8_params *p, const int8_t *a, const int8_t *b, int8_t *output) {
    for_each(p, a, b, output, maximum);
}

void tyf_prelu_s8(const tyf_binary_s8_params *p, const int8_t *a, const int8_t *b, int8_t *output) {
    for_each(p, a, b, output, prelu);
}
