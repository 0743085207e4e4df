/* Sums and means along some dimensions, int16, portable. */
#include "tyf/nn/fixed.h"
#include "tyf/nn/kernels_s16.h"

/* The sum of a block, whose dimensions lie `strides` apart; it fits, as a block has less than 2^16 values. */
static int32_t sum_block(const tyf_reduce_s8_params *p, const int16_t *input, const int32_t strides[4]) {
    int32_t sum = 0;
    for (int32_t i = 0; i < p->reduced[0]; i++) {
        for (int32_t j = 0; j < p->reduced[1]; j++) {
            for (int32_t k = 0; k < p->reduced[2]; k++) {
                const int16_t *row = input + i * strides[0] + j * strides[1] + k * strides[2];
                for (int32_t l = 0; l < p->reduced[3]; l++) {
                    sum += row[l];
                }
            }
        }
    }
    return sum;
}

void tyf_sum_s16(const tyf_reduce_s8_params *p, const int16_t *input, int16_t *output) {
    int32_t strides[4] = {0, 0, 0, 1};
    for (int32_t d = 2; d >= 0; d--) {
        strides[d] = strides[d + 1] * p->kept[d + 1] * p->reduced[d + 1];
    }
    for (int32_t i = 0; i < p->kept[0]; i++) {
        for (int32_t j = 0; j < p->kept[1]; j++) {
            for (int32_t k = 0; k < p->kept[2]; k++) {
                for (int32_t l = 0; l < p->kept[3]; l++) {
                    const int16_t *block = input + i * strides[0] + j * strides[1] + k * strides[2] + l;
                    const int32_t result = tyf_requantize(sum_block(p, block, strides), p->multiplier, p->shift);
                    *output++ = (int16_t)tyf_clamp(result, INT16_MIN, INT16_MAX);
                }
            }
        }
    }
}
