/* The choice between two int16 tensors, that broadcast; portable. */
#include "tyf/nn/kernels_s16.h"

static int32_t row_start(const int32_t strides[4], int32_t i, int32_t j, int32_t k) {
    return i * strides[0] + j * strides[1] + k * strides[2];
}

void tyf_select_s16(const tyf_select_s8_params *p, const uint8_t *condition, const int16_t *a, const int16_t *b,
                    int16_t *output) {
    for (int32_t i = 0; i < p->dims[0]; i++) {
        for (int32_t j = 0; j < p->dims[1]; j++) {
            for (int32_t k = 0; k < p->dims[2]; k++) {
                const uint8_t *row = condition + row_start(p->condition_strides, i, j, k);
                const int16_t *row_a = a + row_start(p->a_strides, i, j, k);
                const int16_t *row_b = b + row_start(p->b_strides, i, j, k);
                for (int32_t l = 0; l < p->dims[3]; l++) {
                    const int16_t value_a = row_a[l * p->a_strides[3]];
                    const int16_t value_b = row_b[l * p->b_strides[3]];
                    *output++ = row[l * p->condition_strides[3]] != 0 ? value_a : value_b;
                }
            }
        }
    }
}
