/* DEPTHWISE_CONV_2D, int16 with int8 weights, portable. */
#include "tyf/nn/fixed_s16.h"
#include "tyf/nn/kernels_s16.h"

static int64_t window_sum(const tyf_depthwise_conv2d_s8_params *p, const int16_t *input, const int8_t *filter,
                          int32_t y0, int32_t x0) {
    const tyf_window *win = &p->window;
    const int32_t output_c = p->input_c * p->depth_multiplier;
    int64_t sum = 0;
    for (int32_t ky = 0; ky < win->kernel_h; ky++) {
        const int32_t y = y0 + ky * win->dilation_h;
        if (y < 0 || y >= win->input_h) {
            continue;
        }
        for (int32_t kx = 0; kx < win->kernel_w; kx++) {
            const int32_t x = x0 + kx * win->dilation_w;
            if (x < 0 || x >= win->input_w) {
                continue;
            }
            const int32_t value = input[(y * win->input_w + x) * p->input_c];
            sum += value * filter[(ky * win->kernel_w + kx) * output_c];
        }
    }
    return sum;
}

void tyf_depthwise_conv2d_s16(const tyf_depthwise_conv2d_s8_params *p, const int16_t *input, const int8_t *weights,
                              const int64_t *bias, const int16_t *multiplier, const int8_t *shift, int16_t *output) {
    const tyf_window *win = &p->window;
    const int32_t output_c = p->input_c * p->depth_multiplier;
    for (int32_t oy = 0; oy < win->output_h; oy++) {
        const int32_t y0 = oy * win->stride_h - win->pad_h;
        for (int32_t ox = 0; ox < win->output_w; ox++) {
            const int32_t x0 = ox * win->stride_w - win->pad_w;
            for (int32_t oc = 0; oc < output_c; oc++) {
                const int64_t sum = bias[oc] + window_sum(p, input + oc / p->depth_multiplier, weights + oc, y0, x0);
                const int32_t scaled = tyf_requantize_wide(sum, multiplier[oc], shift[oc]);
                *output++ = (int16_t)tyf_clamp(scaled, p->activation_min, p->activation_max);
            }
        }
    }
}
