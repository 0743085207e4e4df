/* SVDF, int8 with a state of int16, portable. */
#include "tyf/nn/fixed.h"
#include "tyf/nn/kernels.h"

void tyf_svdf_update_s8(const tyf_svdf_update_s8_params *p, const int8_t *input, const int8_t *weights,
                        int16_t *state) {
    for (int32_t filter = 0; filter < p->filters; filter++) {
        int32_t sum = 0;
        for (int32_t i = 0; i < p->size; i++) {
            sum += (input[i] + p->input_offset) * *weights++;
        }
        for (int32_t i = 0; i + 1 < p->memory; i++) {
            state[i] = state[i + 1];
        }
        const int32_t feature = tyf_requantize(sum, p->multiplier, p->shift);
        state[p->memory - 1] = (int16_t)tyf_clamp(feature, INT16_MIN, INT16_MAX);
        state += p->memory;
    }
}

void tyf_svdf_output_s8(const tyf_svdf_output_s8_params *p, const int16_t *state, const int16_t *weights,
                        const int32_t *bias, int8_t *output) {
    for (int32_t unit = 0; unit < p->units; unit++) {
        uint32_t sum = (uint32_t)bias[unit]; /* wraps around, as the oracle's does */
        for (int32_t i = 0; i < p->depth; i++) {
            sum += (uint32_t)(*state++ * *weights++);
        }
        const int32_t result = tyf_requantize((int32_t)sum, p->multiplier, p->shift) + p->output_offset;
        output[unit] = (int8_t)tyf_clamp(result, INT8_MIN, INT8_MAX);
    }
}
