/* AVERAGE_POOL_2D and MAX_POOL_2D, int8, portable. */
#include "tyf/nn/fixed.h"
#include "tyf/nn/kernels.h"
#include "tyf/nn/pool_span.h"

static int32_t span_mean(const tyf_pool2d_s8_params *p, const int8_t *input, tyf_pool_span s) {
    int32_t sum = 0;
    for (int32_t y = s.y0; y < s.y1; y++) {
        for (int32_t x = s.x0; x < s.x1; x++) {
            sum += input[(y * p->window.input_w + x) * p->channels];
        }
    }
    const int32_t count = (s.y1 - s.y0) * (s.x1 - s.x0);
    return sum > 0 ? (sum + count / 2) / count : (sum - count / 2) / count;
}

static int32_t span_max(const tyf_pool2d_s8_params *p, const int8_t *input, tyf_pool_span s) {
    int32_t largest = INT8_MIN;
    for (int32_t y = s.y0; y < s.y1; y++) {
        for (int32_t x = s.x0; x < s.x1; x++) {
            const int32_t value = input[(y * p->window.input_w + x) * p->channels];
            largest = value > largest ? value : largest;
        }
    }
    return largest;
}

static void pool(const tyf_pool2d_s8_params *p, const int8_t *input, int8_t *output,
                 int32_t (*reduce)(const tyf_pool2d_s8_params *, const int8_t *, tyf_pool_span)) {
    for (int32_t oy = 0; oy < p->window.output_h; oy++) {
        for (int32_t ox = 0; ox < p->window.output_w; ox++) {
            const tyf_pool_span inside = tyf_clip_window(&p->window, oy, ox);
            for (int32_t c = 0; c < p->channels; c++) {
                *output++ = (int8_t)tyf_clamp(reduce(p, input + c, inside), p->activation_min, p->activation_max);
            }
        }
    }
}

void tyf_average_pool2d_s8(const tyf_pool2d_s8_params *params, const int8_t *input, int8_t *output) {
    pool(params, input, output, span_mean);
}

void tyf_max_pool2d_s8(const tyf_pool2d_s8_params *params, const int8_t *input, int8_t *output) {
    pool(params, input, output, span_max);
}
