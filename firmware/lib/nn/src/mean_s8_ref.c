/* MEAN, int8, portable. */
#include "tyf/nn/fixed.h"
#include "tyf/nn/kernels.h"

static int32_t sum_block(const tyf_mean_s8_params *p, const int8_t *input, const int32_t strides[4]) {
    int32_t sum = 0;
    for (int32_t i = 0; i < p->reduced[0]; i++) {
        for (int32_t j = 0; j < p->reduced[1]; j++) {
            for (int32_t k = 0; k < p->reduced[2]; k++) {
                const int8_t *row = input + i * strides[0] + j * strides[1] + k * strides[2];
                for (int32_t l = 0; l < p->reduced[3]; l++) {
                    sum += row[l] + p->input_offset;
                }
            }
        }
    }
    return sum;
}

void tyf_mean_s8(const tyf_mean_s8_params *p, const int8_t *input, int8_t *output) {
    int32_t strides[4] = {0, 0, 0, 1};
    for (int32_t d = 2; d >= 0; d--) {
        strides[d] = strides[d + 1] * p->kept[d + 1] * p->reduced[d + 1];
    }
    for (int32_t i = 0; i < p->kept[0]; i++) {
        for (int32_t j = 0; j < p->kept[1]; j++) {
            for (int32_t k = 0; k < p->kept[2]; k++) {
                for (int32_t l = 0; l < p->kept[3]; l++) {
                    const int8_t *block = input + i * strides[0] + j * strides[1] + k * strides[2] + l;
                    const int32_t sum = sum_block(p, block, strides);
                    const int32_t scaled = tyf_requantize(sum, p->multiplier, p->shift) + p->output_offset;
                    *output++ = (int8_t)tyf_clamp(scaled, INT8_MIN, INT8_MAX);
                }
            }
        }
    }
}
