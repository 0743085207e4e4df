/* One value of all values along some dimensions, int8, portable. */
#include "tyf/nn/fixed.h"
#include "tyf/nn/kernels.h"

/* One pass over the values of a block, whose dimensions lie `strides` apart. */
static int32_t sum_block(const tyf_reduce_s8_params *p, const int8_t *input, const int32_t strides[4]) {
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
    return tyf_requantize(sum, p->multiplier, p->shift);
}

static int32_t max_of_block(const tyf_reduce_s8_params *p, const int8_t *input, const int32_t strides[4]) {
    int32_t largest = INT8_MIN;
    for (int32_t i = 0; i < p->reduced[0]; i++) {
        for (int32_t j = 0; j < p->reduced[1]; j++) {
            for (int32_t k = 0; k < p->reduced[2]; k++) {
                const int8_t *row = input + i * strides[0] + j * strides[1] + k * strides[2];
                for (int32_t l = 0; l < p->reduced[3]; l++) {
                    largest = row[l] > largest ? row[l] : largest;
                }
            }
        }
    }
    return largest + p->input_offset;
}

typedef int32_t (*block_fn)(const tyf_reduce_s8_params *p, const int8_t *input, const int32_t strides[4]);

static void for_each_block(const tyf_reduce_s8_params *p, const int8_t *input, int8_t *output, block_fn reduce) {
    int32_t strides[4] = {0, 0, 0, 1};
    for (int32_t d = 2; d >= 0; d--) {
        strides[d] = strides[d + 1] * p->kept[d + 1] * p->reduced[d + 1];
    }
    for (int32_t i = 0; i < p->kept[0]; i++) {
        for (int32_t j = 0; j < p->kept[1]; j++) {
            for (int32_t k = 0; k < p->kept[2]; k++) {
                for (int32_t l = 0; l < p->kept[3]; l++) {
                    const int8_t *block = input + i * strides[0] + j * strides[1] + k * strides[2] + l;
                    const int32_t result = reduce(p, block, strides) + p->output_offset;
                    *output++ = (int8_t)tyf_clamp(result, INT8_MIN, INT8_MAX);
                }
            }
        }
    }
}

void tyf_sum_s8(const tyf_reduce_s8_params *p, const int8_t *input, int8_t *output) {
    for_each_block(p, input, output, sum_block);
}

void tyf_reduce_max_s8(const tyf_reduce_s8_params *p, const int8_t *input, int8_t *output) {
    for_each_block(p, input, output, max_of_block);
}
