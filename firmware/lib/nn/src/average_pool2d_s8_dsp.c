/* AVERAGE_POOL_2D, int8, for cores with the DSP extension: four channels in two registers of two sums each. */
#include "tyf/nn/dsp.h"

static int32_t larger(int32_t a, int32_t b) {
    return a > b ? a : b;
}

static int8_t mean(const tyf_pool2d_s8_params *p, int32_t sum, int32_t count) {
    const int32_t value = (sum > 0 ? sum + count / 2 : sum - count / 2) / count;
    return (int8_t)tyf_clamp(value, p->activation_min, p->activation_max);
}

void tyf_average_pool2d_s8_dsp(const tyf_pool2d_s8_params *p, const int8_t *input, int8_t *output) {
    const tyf_window *win = &p->window;
    for (int32_t oy = 0; oy < win->output_h; oy++) {
        const int32_t y = oy * win->stride_h - win->pad_h;
        const int32_t y0 = larger(y, 0), rows = tyf_smaller(y + win->kernel_h, win->input_h) - y0;
        for (int32_t ox = 0; ox < win->output_w; ox++) {
            const int32_t x = ox * win->stride_w - win->pad_w;
            const int32_t x0 = larger(x, 0), columns = tyf_smaller(x + win->kernel_w, win->input_w) - x0;
            const int8_t *first = input + (y0 * win->input_w + x0) * p->channels;
            for (int32_t c = 0; c < p->channels; c += 4) {
                uint32_t even = 0, odd = 0;
                const int8_t *row = first + c;
                for (int32_t ky = rows; ky != 0; ky--) {
                    const int8_t *pixel = row;
                    for (int32_t kx = columns; kx != 0; kx--) {
                        const uint32_t word = tyf_load_word(pixel);
                        even = tyf_sxtab16(even, word);
                        odd = tyf_sxtab16_ror8(odd, word);
                        pixel += p->channels;
                    }
                    row += win->input_w * p->channels;
                }
                output[0] = mean(p, (int16_t)even, rows * columns);
                output[1] = mean(p, (int16_t)odd, rows * columns);
                output[2] = mean(p, (int16_t)(even >> 16), rows * columns);
                output[3] = mean(p, (int16_t)(odd >> 16), rows * columns);
                output += 4;
            }
        }
    }
}
