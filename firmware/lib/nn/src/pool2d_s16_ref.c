/* AVERAGE_POOL_2D and MAX_POOL_2D, int16, portable. */
#include "tyf/nn/fixed.h"
#include "tyf/nn/kernels_s16.h"

/* The part of one window that lies inside the image. */
typedef struct {
    int32_t y0, y1, x0, x1;
} span;

static span clip_window(const tyf_window *win, int32_t oy, int32_t ox) {
    const int32_t y = oy * win->stride_h - win->pad_h;
    const int32_t x = ox * win->stride_w - win->pad_w;
    const span inside = {
        .y0 = y < 0 ? 0 : y,
        .y1 = y + win->kernel_h > win->input_h ? win->input_h : y + win->kernel_h,
        .x0 = x < 0 ? 0 : x,
        .x1 = x + win->kernel_w > win->input_w ? win->input_w : x + win->kernel_w,
    };
    return inside;
}

static int32_t span_mean(const tyf_pool2d_s8_params *p, const int16_t *input, span s) {
    int32_t sum = 0;
    for (int32_t y = s.y0; y < s.y1; y++) {
        for (int32_t x = s.x0; x < s.x1; x++) {
            sum += input[(y * p->window.input_w + x) * p->channels];
        }
    }
    const int32_t count = (s.y1 - s.y0) * (s.x1 - s.x0);
    return sum > 0 ? (sum + count / 2) / count : (sum - count / 2) / count;
}

static int32_t span_max(const tyf_pool2d_s8_params *p, const int16_t *input, span s) {
    int32_t largest = INT16_MIN;
    for (int32_t y = s.y0; y < s.y1; y++) {
        for (int32_t x = s.x0; x < s.x1; x++) {
            const int32_t value = input[(y * p->window.input_w + x) * p->channels];
            largest = value > largest ? value : largest;
        }
    }
    return largest;
}

static void pool(const tyf_pool2d_s8_params *p, const int16_t *input, int16_t *output,
                 int32_t (*reduce)(const tyf_pool2d_s8_params *, const int16_t *, span)) {
    for (int32_t oy = 0; oy < p->window.output_h; oy++) {
        for (int32_t ox = 0; ox < p->window.output_w; ox++) {
            const span inside = clip_window(&p->window, oy, ox);
            for (int32_t c = 0; c < p->channels; c++) {
                *output++ = (int16_t)tyf_clamp(reduce(p, input + c, inside), p->activation_min, p->activation_max);
            }
        }
    }
}

void tyf_average_pool2d_s16(const tyf_pool2d_s8_params *params, const int16_t *input, int16_t *output) {
    pool(params, input, output, span_mean);
}

void tyf_max_pool2d_s16(const tyf_pool2d_s8_params *params, const int16_t *input, int16_t *output) {
    pool(params, input, output, span_max);
}
