/* FULLY_CONNECTED, int16 with int8 weights, portable. */
#include "tyf/nn/fixed_s16.h"
#include "tyf/nn/kernels_s16.h"

static void connect(const tyf_fully_connected_s8_params *p, const int16_t *input, const int8_t *weights,
                    const tyf_scales_s16 *scales, int16_t *output, tyf_finish_s16_fn finish) {
    for (int32_t row = 0; row < p->rows; row++) {
        const int16_t *in = input + row * p->depth;
        for (int32_t unit = 0; unit < p->units; unit++) {
            const int64_t sum = tyf_dot_s16(in, weights + unit * p->depth, p->depth);
            *output++ = (int16_t)tyf_clamp(finish(scales, unit, sum), p->activation_min, p->activation_max);
        }
    }
}

void tyf_fully_connected_s16(const tyf_fully_connected_s8_params *p, const int16_t *input, const int8_t *weights,
                             const int64_t *bias, const int16_t *multiplier, const int8_t *shift, int16_t *output) {
    const tyf_scales_s16 scales = {.wide_bias = bias, .wide_multiplier = multiplier, .shift = shift};
    connect(p, input, weights, &scales, output, tyf_finish_wide);
}

void tyf_fully_connected_narrow_s16(const tyf_fully_connected_s8_params *p, const int16_t *input, const int8_t *weights,
                                    const int32_t *bias, const int32_t *multiplier, const int8_t *shift,
                                    int16_t *output) {
    const tyf_scales_s16 scales = {.narrow_bias = bias, .narrow_multiplier = multiplier, .shift = shift};
    connect(p, input, weights, &scales, output, tyf_finish_narrow);
}
