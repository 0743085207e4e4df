/* Comparisons of two tensors, and the choice between two, that broadcast; portable. */
#include "tyf/nn/fixed.h"
#include "tyf/nn/kernels.h"

/* Both inputs of a comparison are scaled up by this power of two; |q - zero_point| <= 255 stays below 2^16. */
#define COMPARE_SHIFT 8

/* Where the row at (i, j, k) begins. */
static int32_t row_start(const int32_t strides[4], int32_t i, int32_t j, int32_t k) {
    return i * strides[0] + j * strides[1] + k * strides[2];
}

static int32_t scaled(const tyf_binary_s8_input *in, int8_t value) {
    return tyf_requantize((value + in->offset) * (1 << COMPARE_SHIFT), in->multiplier, in->shift);
}

static int32_t as_it_is(const tyf_binary_s8_input *in, int32_t value) {
    (void)in;
    return value;
}

#define COMPARE(suffix, type, value)                                                                                   \
    void tyf_compare_##suffix(const tyf_compare_s8_params *p, const type *a, const type *b, uint8_t *output) {         \
        for (int32_t i = 0; i < p->dims[0]; i++) {                                                                     \
            for (int32_t j = 0; j < p->dims[1]; j++) {                                                                 \
                for (int32_t k = 0; k < p->dims[2]; k++) {                                                             \
                    const type *row_a = a + row_start(p->a.strides, i, j, k);                                          \
                    const type *row_b = b + row_start(p->b.strides, i, j, k);                                          \
                    for (int32_t l = 0; l < p->dims[3]; l++) {                                                         \
                        const int32_t value_a = value(&p->a, row_a[l * p->a.strides[3]]);                              \
                        const int32_t value_b = value(&p->b, row_b[l * p->b.strides[3]]);                              \
                        *output++ = (uint8_t)(value_a < value_b    ? p->less                                           \
                                              : value_a == value_b ? p->equal                                          \
                                                                   : p->greater);                                      \
                    }                                                                                                  \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
    }

COMPARE(s8, int8_t, scaled)
COMPARE(u8, uint8_t, as_it_is)
COMPARE(s32, int32_t, as_it_is)

void tyf_select_s8(const tyf_select_s8_params *p, const uint8_t *condition, const int8_t *a, const int8_t *b,
                   int8_t *output) {
    for (int32_t i = 0; i < p->dims[0]; i++) {
        for (int32_t j = 0; j < p->dims[1]; j++) {
            for (int32_t k = 0; k < p->dims[2]; k++) {
                const uint8_t *row = condition + row_start(p->condition_strides, i, j, k);
                const int8_t *row_a = a + row_start(p->a_strides, i, j, k);
                const int8_t *row_b = b + row_start(p->b_strides, i, j, k);
                for (int32_t l = 0; l < p->dims[3]; l++) {
                    const int8_t value_a = row_a[l * p->a_strides[3]];
                    const int8_t value_b = row_b[l * p->b_strides[3]];
                    *output++ = row[l * p->condition_strides[3]] != 0 ? value_a : value_b;
                }
            }
        }
    }
}
