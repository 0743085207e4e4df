/* CONV_2D, int16 with int8 weights, portable. */
#include "tyf/nn/fixed_s16.h"
#include "tyf/nn/kernels_s16.h"

/* One output value before bias: the sum over the part of the window that lies inside the image. */
static int64_t window_sum(const tyf_conv2d_s8_params *p, const int16_t *input, const int8_t *filter, int32_t y0,
                          int32_t x0, int32_t first_c) {
    const tyf_window *win = &p->window;
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
            const int16_t *in = input + (y * win->input_w + x) * p->input_c + first_c;
            sum += tyf_dot_s16(in, filter + (ky * win->kernel_w + kx) * p->filter_c, p->filter_c);
        }
    }
    return sum;
}

static void convolve(const tyf_conv2d_s8_params *p, const int16_t *input, const int8_t *weights,
                     const tyf_scales_s16 *scales, int16_t *output, tyf_finish_s16_fn finish) {
    const tyf_window *win = &p->window;
    const int32_t filter_bytes = win->kernel_h * win->kernel_w * p->filter_c;
    const int32_t filters_per_group = p->output_c / (p->input_c / p->filter_c);
    for (int32_t oy = 0; oy < win->output_h; oy++) {
        const int32_t y0 = oy * win->stride_h - win->pad_h;
        for (int32_t ox = 0; ox < win->output_w; ox++) {
            const int32_t x0 = ox * win->stride_w - win->pad_w;
            for (int32_t oc = 0; oc < p->output_c; oc++) {
                const int32_t first_c = oc / filters_per_group * p->filter_c;
                const int64_t sum = window_sum(p, input, weights + oc * filter_bytes, y0, x0, first_c);
                *output++ = (int16_t)tyf_clamp(finish(scales, oc, sum), p->activation_min, p->activation_max);
            }
        }
    }
}

void tyf_conv2d_s16(const tyf_conv2d_s8_params *p, const int16_t *input, const int8_t *weights, const int64_t *bias,
                    const int16_t *multiplier, const int8_t *shift, int16_t *output) {
    const tyf_scales_s16 scales = {.wide_bias = bias, .wide_multiplier = multiplier, .shift = shift};
    convolve(p, input, weights, &scales, output, tyf_finish_wide);
}

void tyf_conv2d_narrow_s16(const tyf_conv2d_s8_params *p, const int16_t *input, const int8_t *weights,
                           const int32_t *bias, const int32_t *multiplier, const int8_t *shift, int16_t *output) {
    const tyf_scales_s16 scales = {.narrow_bias = bias, .narrow_multiplier = multiplier, .shift = shift};
    convolve(p, input, weights, &scales, output, tyf_finish_narrow);
}
