/* Functions of two int16 tensors that broadcast, portable. */
#include "tyf/nn/fixed.h"
#include "tyf/nn/kernels_s16.h"

/* Both inputs of ADD and SUB are scaled up by this power of two, to at most 2^30, and then to at most half of that. */
#define SUM_SHIFT 15

#define INLINE static inline __attribute__((always_inline))

typedef int32_t (*combine_fn)(const tyf_binary_s8_params *p, int32_t a, int32_t b);

/* combine is a constant at every call, so that it becomes part of the loop. */
INLINE void for_each(const tyf_binary_s8_params *p, const int16_t *a, const int16_t *b, int16_t *output,
                     combine_fn combine) {
    for (int32_t i = 0; i < p->dims[0]; i++) {
        for (int32_t j = 0; j < p->dims[1]; j++) {
            for (int32_t k = 0; k < p->dims[2]; k++) {
                const int16_t *row_a = a + i * p->a.strides[0] + j * p->a.strides[1] + k * p->a.strides[2];
                const int16_t *row_b = b + i * p->b.strides[0] + j * p->b.strides[1] + k * p->b.strides[2];
                for (int32_t l = 0; l < p->dims[3]; l++) {
                    const int32_t result = combine(p, row_a[l * p->a.strides[3]], row_b[l * p->b.strides[3]]);
                    *output++ = (int16_t)tyf_clamp(result, p->activation_min, p->activation_max);
                }
            }
        }
    }
}

INLINE int32_t scaled(const tyf_binary_s8_input *in, int32_t value, int32_t shift) {
    return tyf_requantize(value * (1 << shift), in->multiplier, in->shift);
}

INLINE int32_t to_output(const tyf_binary_s8_params *p, int32_t value) {
    return tyf_requantize(value, p->output_multiplier, p->output_shift);
}

INLINE int32_t add(const tyf_binary_s8_params *p, int32_t a, int32_t b) {
    return to_output(p, scaled(&p->a, a, SUM_SHIFT) + scaled(&p->b, b, SUM_SHIFT));
}

INLINE int32_t sub(const tyf_binary_s8_params *p, int32_t a, int32_t b) {
    return to_output(p, scaled(&p->a, a, SUM_SHIFT) - scaled(&p->b, b, SUM_SHIFT));
}

INLINE int32_t mul(const tyf_binary_s8_params *p, int32_t a, int32_t b) {
    return to_output(p, a * b);
}

/* Each scaled input is at most 2^14, so the square is at most 2^30. */
INLINE int32_t squared_difference(const tyf_binary_s8_params *p, int32_t a, int32_t b) {
    const int32_t difference = scaled(&p->a, a, 0) - scaled(&p->b, b, 0);
    return to_output(p, difference * difference);
}

INLINE int32_t minimum(const tyf_binary_s8_params *p, int32_t a, int32_t b) {
    (void)p;
    return a < b ? a : b;
}

INLINE int32_t maximum(const tyf_binary_s8_params *p, int32_t a, int32_t b) {
    (void)p;
    return a > b ? a : b;
}

void tyf_add_s16(const tyf_binary_s8_params *p, const int16_t *a, const int16_t *b, int16_t *output) {
    for_each(p, a, b, output, add);
}

void tyf_sub_s16(const tyf_binary_s8_params *p, const int16_t *a, const int16_t *b, int16_t *output) {
    for_each(p, a, b, output, sub);
}

void tyf_mul_s16(const tyf_binary_s8_params *p, const int16_t *a, const int16_t *b, int16_t *output) {
    for_each(p, a, b, output, mul);
}

void tyf_squared_difference_s16(const tyf_binary_s8_params *p, const int16_t *a, const int16_t *b, int16_t *output) {
    for_each(p, a, b, output, squared_difference);
}

void tyf_minimum_s16(const tyf_binary_s8_params *p, const int16_t *a, const int16_t *b, int16_t *output) {
    for_each(p, a, b, output, minimum);
}

void tyf_maximum_s16(const tyf_binary_s8_params *p, const int16_t *a, const int16_t *b, int16_t *output) {
    for_each(p, a, b, output, maximum);
}
