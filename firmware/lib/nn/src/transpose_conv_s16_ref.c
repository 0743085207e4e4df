/* TRANSPOSE_CONV, int16 with int8 weights, portable: each output pixel gathers what the input pixels around it add. */
#include "tyf/nn/fixed_s16.h"
#include "tyf/nn/kernels_s16.h"

/* The input index whose window covers an output index at kernel position k; -1 when there is none. */
static int32_t source_of(int32_t index, int32_t pad, int32_t k, int32_t stride, int32_t size) {
    const int32_t distance = index + pad - k;
    return distance >= 0 && distance % stride == 0 && distance / stride < size ? distance / stride : -1;
}

static int64_t sum_at(const tyf_transpose_conv_s8_params *p, const int16_t *input, const int8_t *filter, int32_t y,
                      int32_t x) {
    const tyf_window *win = &p->window;
    int64_t sum = 0;
    for (int32_t ky = 0; ky < win->kernel_h; ky++) {
        const int32_t row = source_of(y, win->pad_h, ky, win->stride_h, win->output_h);
        for (int32_t kx = 0; row >= 0 && kx < win->kernel_w; kx++) {
            const int32_t column = source_of(x, win->pad_w, kx, win->stride_w, win->output_w);
            if (column >= 0) {
                const int16_t *pixel = input + (row * win->output_w + column) * p->input_c;
                sum += tyf_dot_s16(pixel, filter + (ky * win->kernel_w + kx) * p->input_c, p->input_c);
            }
        }
    }
    return sum;
}

void tyf_transpose_conv_s16(const tyf_transpose_conv_s8_params *p, const int16_t *input, const int8_t *weights,
                            const int64_t *bias, const int16_t *multiplier, const int8_t *shift, int16_t *output) {
    const int32_t filter_size = p->window.kernel_h * p->window.kernel_w * p->input_c;
    for (int32_t y = 0; y < p->window.input_h; y++) {
        for (int32_t x = 0; x < p->window.input_w; x++) {
            for (int32_t c = 0; c < p->output_c; c++) {
                const int64_t sum = bias[c] + sum_at(p, input, weights + c * filter_size, y, x);
                const int32_t result = tyf_requantize_wide(sum, multiplier[c], shift[c]);
                *output++ = (int16_t)tyf_clamp(result, INT16_MIN, INT16_MAX);
            }
        }
    }
}
