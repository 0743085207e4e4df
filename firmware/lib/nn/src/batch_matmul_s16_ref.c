/* BATCH_MATMUL, int16, portable. */
#include "tyf/nn/fixed_s16.h"
#include "tyf/nn/kernels_s16.h"

void tyf_batch_matmul_s16(const tyf_batch_matmul_s8_params *p, const int16_t *a, const int16_t *b, int16_t *output) {
    for (int32_t i = 0; i < p->batches[0]; i++) {
        for (int32_t j = 0; j < p->batches[1]; j++) {
            for (int32_t row = 0; row < p->rows; row++) {
                for (int32_t column = 0; column < p->columns; column++) {
                    const int16_t *left = a + i * p->a_strides[0] + j * p->a_strides[1] + row * p->a_strides[2];
                    const int16_t *right = b + i * p->b_strides[0] + j * p->b_strides[1] + column * p->b_strides[3];
                    int64_t sum = 0;
                    for (int32_t k = 0; k < p->depth; k++) {
                        sum += left[k * p->a_strides[3]] * right[k * p->b_strides[2]];
                    }
                    const int32_t result = tyf_requantize_wide(sum, p->multiplier, p->shift);
                    *output++ = (int16_t)tyf_clamp(result, INT16_MIN, INT16_MAX);
                }
            }
        }
    }
}
