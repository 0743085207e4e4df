/* BATCH_MATMUL, int8, portable. */
#include "tyf/nn/fixed.h"
#include "tyf/nn/kernels.h"

void tyf_batch_matmul_s8(const tyf_batch_matmul_s8_params *p, const int8_t *a, const int8_t *b, int8_t *output) {
    for (int32_t i = 0; i < p->batches[0]; i++) {
        for (int32_t j = 0; j < p->batches[1]; j++) {
            for (int32_t row = 0; row < p->rows; row++) {
                for (int32_t column = 0; column < p->columns; column++) {
                    const int8_t *left = a + i * p->a_strides[0] + j * p->a_strides[1] + row * p->a_strides[2];
                    const int8_t *right = b + i * p->b_strides[0] + j * p->b_strides[1] + column * p->b_strides[3];
                    int32_t sum = 0; /* |sum| <= 255 * 255 * depth, which fits */
                    for (int32_t k = 0; k < p->depth; k++) {
                        sum += (left[k * p->a_strides[3]] + p->a_offset) * (right[k * p->b_strides[2]] + p->b_offset);
                    }
                    const int32_t result = tyf_requantize(sum, p->multiplier, p->shift) + p->output_offset;
                    *output++ = (int8_t)tyf_clamp(result, INT8_MIN, INT8_MAX);
                }
            }
        }
    }
}
