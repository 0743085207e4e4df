/* DEPTHWISE_CONV_2D, int8, for ARMv6-M. */
#include <stdbool.h>
#include <string.h>

#include "tyf/nn/fixed.h"
#include "tyf/nn/kernels_v6m.h"

/* What depthwise_3x3_v6m.S reads, by offset. */
typedef struct {
    const int8_t *input;
    int8_t *output;
    const uint32_t *records;
    uint32_t *ring;
    int32_t channels;
    int32_t row_bytes;
    int32_t input_h;
    int32_t pad_h;
    int32_t output_h;
    int32_t lead;      /* 1: the first pixel of a row is padding */
    int32_t whole;     /* pairs (stride 1) or fours (stride 2) of pixels after the lead */
    int32_t rest;      /* stride 1: pixels after those; stride 2: 1 + pixels after those, 0 when no output needs them */
    int32_t pairs_out; /* pairs of outputs in a row */
    int32_t odd;       /* outputs after those */
    int32_t pad_word;  /* zero point in both halves */
    int32_t pairs;     /* of a row in the ring */
    int32_t pixel_step;
    int32_t output_row_bytes;
} tyf_v6m_depthwise;

/* What depthwise_taps_v6m.S reads, by offset. */
typedef struct {
    const int8_t *const *taps;
    const int8_t *weights;
    const int32_t *channels;
    int8_t *output;
    int32_t tap_count;
    int32_t channel_count;
    int32_t output_step; /* to the second pixel; 0: both are the same */
} tyf_v6m_depthwise_pixels;

void tyf_v6m_depthwise_3x3(const tyf_v6m_depthwise *work);
void tyf_v6m_depthwise_3x3_s2(const tyf_v6m_depthwise *work);
void tyf_v6m_depthwise_taps(const tyf_v6m_depthwise_pixels *pixels);

static void clamp_all(const tyf_depthwise_conv2d_s8_params *p, int8_t *values) {
    if (p->activation_min == INT8_MIN && p->activation_max == INT8_MAX) {
        return;
    }
    for (int32_t i = p->window.output_h * p->window.output_w * p->input_c; i != 0; i--, values++) {
        *values = (int8_t)tyf_clamp(*values, p->activation_min, p->activation_max);
    }
}

static tyf_v6m_depthwise begin(const tyf_depthwise_conv2d_s8_params *p, const int8_t *input, const uint32_t *records,
                               void *scratch, int8_t *output) {
    const tyf_window *win = &p->window;
    return (tyf_v6m_depthwise){
        .input = input,
        .output = output,
        .records = records,
        .ring = scratch,
        .channels = p->input_c,
        .row_bytes = win->input_w * p->input_c,
        .input_h = win->input_h,
        .pad_h = win->pad_h,
        .output_h = win->output_h,
        .lead = win->pad_w,
        .pairs_out = win->output_w / 2,
        .odd = win->output_w & 1,
        .pad_word = (int32_t)((uint32_t)-p->input_offset * 65537u),
        .pixel_step = p->input_c,
        .output_row_bytes = win->output_w * p->input_c,
    };
}

void tyf_depthwise_conv2d_3x3_s8_v6m(const tyf_depthwise_conv2d_s8_params *p, const int8_t *input,
                                     const uint32_t *records, void *scratch, int8_t *output) {
    const tyf_window *win = &p->window;
    tyf_v6m_depthwise work = begin(p, input, records, scratch, output);
    int32_t length = win->output_w;
    int32_t pixels = win->input_w;
    if (TYF_DEPTHWISE_3X3_V6M_IS_TURNED(win->input_h, win->input_w, win->output_w)) {
        /* Columns for rows: a row has a price of its own, so that few long ones are cheaper. */
        length = win->output_h;
        pixels = win->input_h;
        work.pixel_step = work.row_bytes;
        work.row_bytes = p->input_c;
        work.output_row_bytes = p->input_c;
        work.input_h = win->input_w;
        work.output_h = win->output_w;
        work.pad_h = win->pad_w;
        work.lead = win->pad_h;
        work.pairs_out = length / 2;
        work.odd = length & 1;
    }
    /* With a lead, the first pair is padding and one pixel. */
    pixels -= work.lead;
    work.whole = pixels / 2;
    work.rest = pixels & 1;
    work.pairs = (length + 1) / 2 + 1;
    tyf_v6m_depthwise_3x3(&work);
    clamp_all(p, output);
}

void tyf_depthwise_conv2d_3x3_s2_s8_v6m(const tyf_depthwise_conv2d_s8_params *p, const int8_t *input,
                                        const uint32_t *records, void *scratch, int8_t *output) {
    tyf_v6m_depthwise work = begin(p, input, records, scratch, output);
    /* The first pixel, padding or not, and then four for every two outputs. */
    const int32_t pixels = p->window.input_w + work.lead - 1;
    work.pairs = (p->window.output_w + 1) / 2;
    work.whole = pixels / 4 < work.pairs ? pixels / 4 : work.pairs;
    work.rest = work.whole < work.pairs ? 1 + pixels - 4 * work.whole : 0;
    tyf_v6m_depthwise_3x3_s2(&work);
    clamp_all(p, output);
}

/* Where the taps of a pixel whose window begins at (y0, x0) read, each second pointer. */
static void find_taps(const tyf_depthwise_conv2d_s8_params *p, const int8_t *input, const int8_t *outside, int32_t y0,
                      int32_t x0, const int8_t **taps) {
    const tyf_window *win = &p->window;
    for (int32_t ky = 0; ky < win->kernel_h; ky++) {
        const uint32_t y = (uint32_t)(y0 + ky * win->dilation_h);
        for (int32_t kx = 0; kx < win->kernel_w; kx++, taps += 2) {
            const uint32_t x = (uint32_t)(x0 + kx * win->dilation_w);
            const bool is_inside = y < win->input_h && x < win->input_w;
            *taps = is_inside ? input + (y * win->input_w + x) * (uint32_t)p->input_c : outside;
        }
    }
}

void tyf_depthwise_conv2d_s8_v6m(const tyf_depthwise_conv2d_s8_params *p, const int8_t *input, const int8_t *weights,
                                 const int32_t *channels, void *scratch, int8_t *output) {
    const tyf_window *win = &p->window;
    const int8_t *taps[2 * TYF_DEPTHWISE_V6M_MAX_TAPS];
    int8_t *outside = scratch;
    tyf_v6m_depthwise_pixels pixels = {
        .taps = taps,
        .weights = weights,
        .channels = channels,
        .output = output,
        .tap_count = win->kernel_h * win->kernel_w,
        .channel_count = p->input_c,
        .output_step = p->input_c,
    };
    memset(outside, (int)(uint8_t)(-p->input_offset), (size_t)p->input_c);
    int32_t y0 = -win->pad_h, x0 = -win->pad_w;
    int32_t left_in_row = win->output_w;
    for (int32_t left = win->output_h * win->output_w; left > 0; left -= 2) {
        for (int32_t i = 0; i < 2; i++) {
            find_taps(p, input, outside, y0, x0, taps + i);
            if (left == 1) {
                pixels.output_step = 0;
            } else {
                x0 += win->stride_w;
                if (--left_in_row == 0) {
                    left_in_row = win->output_w;
                    x0 = -win->pad_w;
                    y0 += win->stride_h;
                }
            }
        }
        tyf_v6m_depthwise_taps(&pixels);
        pixels.output += 2 * p->input_c;
    }
    clamp_all(p, output);
}
