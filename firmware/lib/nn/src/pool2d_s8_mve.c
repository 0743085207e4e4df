/* AVERAGE_POOL_2D and MAX_POOL_2D, int8, for Helium: lanes are channels. */
#include "tyf/nn/kernels_mve.h"
#include "tyf/nn/mve.h"

/* The part of one window that lies inside the image. */
typedef struct {
    const int8_t *first;
    int32_t rows, columns;
} span;

static span clip_window(const tyf_pool2d_s8_params *p, const int8_t *input, int32_t oy, int32_t ox) {
    const tyf_window *win = &p->window;
    const int32_t y = oy * win->stride_h - win->pad_h;
    const int32_t x = ox * win->stride_w - win->pad_w;
    const int32_t y0 = y < 0 ? 0 : y;
    const int32_t x0 = x < 0 ? 0 : x;
    const span inside = {
        .first = input + (y0 * win->input_w + x0) * p->channels,
        .rows = (y + win->kernel_h > win->input_h ? win->input_h : y + win->kernel_h) - y0,
        .columns = (x + win->kernel_w > win->input_w ? win->input_w : x + win->kernel_w) - x0,
    };
    return inside;
}

/* Eight channels; sums of up to 255 bytes fit int16. */
static void mean_of_span(const tyf_pool2d_s8_params *p, span s, int8_t *output) {
    const int32_t count = s.rows * s.columns, half = count / 2;
    for (int32_t c = 0; c < p->channels; c += 8) {
        const mve_pred16_t part = vctp16q((uint32_t)(p->channels - c));
        const int8_t *row = s.first + c;
        int16x8_t sums = vdupq_n_s16(0);
        for (int32_t y = 0; y < s.rows; y++) {
            const int8_t *pixel = row;
            for (int32_t x = s.columns; x != 0; x--) {
                sums = vaddq_s16(sums, vldrbq_z_s16(pixel, part));
                pixel += p->channels;
            }
            row += p->window.input_w * p->channels;
        }
        int16_t each[8];
        vst1q_s16(each, sums);
        for (int32_t i = 0; i < 8; i++) {
            each[i] = (int16_t)((each[i] > 0 ? each[i] + half : each[i] - half) / count);
        }
        vstrbq_p_s16(output + c, vld1q_s16(each), part);
    }
}

static void max_of_span(const tyf_pool2d_s8_params *p, span s, int8_t *output) {
    for (int32_t c = 0; c < p->channels; c += 16) {
        const mve_pred16_t part = vctp8q((uint32_t)(p->channels - c));
        const int8_t *row = s.first + c;
        int8x16_t largest = vdupq_n_s8(INT8_MIN);
        for (int32_t y = 0; y < s.rows; y++) {
            const int8_t *pixel = row;
            for (int32_t x = s.columns; x != 0; x--) {
                largest = vmaxq_s8(largest, vldrbq_z_s8(pixel, part));
                pixel += p->channels;
            }
            row += p->window.input_w * p->channels;
        }
        vstrbq_p_s8(output + c, largest, part);
    }
}

static inline void pool(const tyf_pool2d_s8_params *p, const int8_t *input, int8_t *output,
                        void (*reduce)(const tyf_pool2d_s8_params *, span, int8_t *)) {
    int8_t *pixel = output;
    for (int32_t oy = 0; oy < p->window.output_h; oy++) {
        for (int32_t ox = 0; ox < p->window.output_w; ox++) {
            reduce(p, clip_window(p, input, oy, ox), pixel);
            pixel += p->channels;
        }
    }
    tyf_mve_clamp(output, (int32_t)(pixel - output), p->activation_min, p->activation_max);
}

void tyf_average_pool2d_s8_mve(const tyf_pool2d_s8_params *p, const int8_t *input, int8_t *output) {
    pool(p, input, output, mean_of_span);
}

void tyf_max_pool2d_s8_mve(const tyf_pool2d_s8_params *p, const int8_t *input, int8_t *output) {
    pool(p, input, output, max_of_span);
}
