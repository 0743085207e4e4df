/* SVDF, int8 with a state of int16 or int8, portable. */
#include "tyf/nn/fixed.h"
#include "tyf/nn/kernels.h"

static int32_t feature(const tyf_svdf_update_s8_params *p, const int8_t *input, const int8_t *weights) {
    int32_t sum = 0;
    for (int32_t i = 0; i < p->size; i++) {
        sum += (input[i] + p->input_offset) * weights[i];
    }
    return tyf_requantize(sum, p->multiplier, p->shift);
}

static int8_t unit(const tyf_svdf_output_s8_params *p, uint32_t sum) {
    const int32_t result = tyf_requantize((int32_t)sum, p->multiplier, p->shift) + p->output_offset;
    return (int8_t)tyf_clamp(result, INT8_MIN, INT8_MAX);
}

#define SVDF(suffix, type, type_min, type_max)                                                                         \
    void tyf_svdf_update_##suffix(const tyf_svdf_update_s8_params *p, const int8_t *input, const int8_t *weights,      \
                                  type *state) {                                                                       \
        for (int32_t filter = 0; filter < p->filters; filter++) {                                                      \
            const int32_t newest = feature(p, input, weights);                                                         \
            for (int32_t i = 0; i + 1 < p->memory; i++) {                                                              \
                state[i] = state[i + 1];                                                                               \
            }                                                                                                          \
            state[p->memory - 1] = (type)tyf_clamp(newest, type_min, type_max);                                        \
            weights += p->size;                                                                                        \
            state += p->memory;                                                                                        \
        }                                                                                                              \
    }                                                                                                                  \
                                                                                                                       \
    void tyf_svdf_output_##suffix(const tyf_svdf_output_s8_params *p, const type *state, const type *weights,          \
                                  const int32_t *bias, int8_t *output) {                                               \
        for (int32_t i = 0; i < p->units; i++) {                                                                       \
            uint32_t sum = (uint32_t)bias[i]; /* wraps around, as the oracle's does */                                 \
            for (int32_t j = 0; j < p->depth; j++) {                                                                   \
                sum += (uint32_t)(*state++ * *weights++);                                                              \
            }                                                                                                          \
            output[i] = unit(p, sum);                                                                                  \
        }                                                                                                              \
    }

SVDF(s8, int16_t, INT16_MIN, INT16_MAX)
SVDF(s8_state_s8, int8_t, INT8_MIN, INT8_MAX)
