/* FULLY_CONNECTED, int8, portable. */
#include "tyf/nn/fixed.h"
#include "tyf/nn/kernels.h"

void tyf_fully_connected_s8(const tyf_fully_connected_s8_params *p, const int8_t *input, const int8_t *weights,
                            const int32_t *bias, const int32_t *multiplier, const int8_t *shift, int8_t *output) {
    for (int32_t row = 0; row < p->rows; row++) {
        const int8_t *in = input + row * p->depth;
        const int8_t *w = weights;
        for (int32_t unit = 0; unit < p->units; unit++) {
            int32_t sum = bias[unit];
            for (int32_t i = 0; i < p->depth; i++) {
                sum += (in[i] + p->input_offset) * *w++;
            }
            const int32_t scaled = tyf_requantize(sum, multiplier[unit], shift[unit]) + p->output_offset;
            *output++ = (int8_t)tyf_clamp(scaled, p->activation_min, p->activation_max);
        }
    }
}
