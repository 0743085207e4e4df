/* CONV_2D, int8, for cores with the DSP extension: two pixels by two channels, four products in two instructions. */
#include <stdbool.h>
#include <stddef.h>

#include "tyf/nn/dsp.h"
#include "tyf/nn/fixed.h"
#include "tyf/nn/kernels_dsp.h"

/* What all pixels share. */
typedef struct {
    const uint32_t *weights;
    const tyf_dsp_channel *channels;
    int32_t groups; /* of four weights in a filter */
    int32_t output_c;
    int32_t low, high; /* clamp; the whole of int8 needs none */
    bool is_clamped;
} layer;

static int8_t finish(const layer *l, const tyf_dsp_channel *channel, int32_t sum) {
    const int32_t value = tyf_dsp_requantize(sum, channel);
    return (int8_t)(l->is_clamped ? tyf_clamp(value, l->low, l->high) : value);
}

/* All channels of two pixels. columns: for each group of four, two words of each pixel. second may be NULL. */
static void two_pixels(const layer *l, const uint32_t *columns, int8_t *first, int8_t *second) {
    const uint32_t *w = l->weights;
    const tyf_dsp_channel *channel = l->channels;
    for (int32_t left = l->output_c; left > 0; left -= 2) {
        int32_t sum00 = channel[0].bias, sum01 = sum00;
        int32_t sum10 = channel[1].bias, sum11 = sum10;
        const uint32_t *x = columns;
        for (int32_t g = l->groups; g != 0; g--) {
            const uint32_t w0 = w[0], w1 = w[1];
            const uint32_t a02 = x[0], a13 = x[1], b02 = x[2], b13 = x[3];
            const uint32_t w0_02 = tyf_sxtb16(w0), w0_13 = tyf_sxtb16_ror8(w0);
            sum00 = tyf_smlad(w0_02, a02, sum00);
            sum01 = tyf_smlad(w0_02, b02, sum01);
            sum00 = tyf_smlad(w0_13, a13, sum00);
            sum01 = tyf_smlad(w0_13, b13, sum01);
            const uint32_t w1_02 = tyf_sxtb16(w1), w1_13 = tyf_sxtb16_ror8(w1);
            sum10 = tyf_smlad(w1_02, a02, sum10);
            sum11 = tyf_smlad(w1_02, b02, sum11);
            sum10 = tyf_smlad(w1_13, a13, sum10);
            sum11 = tyf_smlad(w1_13, b13, sum11);
            w += 2;
            x += 4;
        }
        *first++ = finish(l, channel, sum00);
        if (second != NULL) {
            *second++ = finish(l, channel, sum01);
        }
        /* The last filter of an odd number has a twin of zeros, whose sums are dropped. */
        if (left > 1) {
            *first++ = finish(l, channel + 1, sum10);
            if (second != NULL) {
                *second++ = finish(l, channel + 1, sum11);
            }
        }
        channel += 2;
    }
}

/* Copy the window of one output pixel as bytes, zero points where it leaves the image. */
static void copy_window(const tyf_conv2d_s8_params *p, const int8_t *input, int32_t oy, int32_t ox, int8_t *window) {
    const tyf_window *win = &p->window;
    const int32_t y0 = oy * win->stride_h - win->pad_h;
    const int32_t x0 = ox * win->stride_w - win->pad_w;
    const int32_t left = x0 < 0 ? -x0 : 0;
    const int32_t end = x0 + win->kernel_w > win->input_w ? win->input_w - x0 : win->kernel_w;
    const int32_t row_bytes = win->kernel_w * p->input_c;
    const int zero = (int)(uint8_t)(-p->input_offset);
    for (int32_t ky = 0; ky < win->kernel_h; ky++, window += row_bytes) {
        const int32_t y = y0 + ky;
        if (y < 0 || y >= win->input_h || left >= end) {
            memset(window, zero, (size_t)row_bytes);
            continue;
        }
        memset(window, zero, (size_t)(left * p->input_c));
        memcpy(window + left * p->input_c, input + (y * win->input_w + x0 + left) * p->input_c,
               (size_t)((end - left) * p->input_c));
        memset(window + end * p->input_c, zero, (size_t)((win->kernel_w - end) * p->input_c));
    }
}

void tyf_conv2d_s8_dsp(const tyf_conv2d_s8_params *p, const int8_t *input, const uint32_t *weights,
                       const tyf_dsp_channel *channels, void *scratch, int8_t *output) {
    const tyf_window *win = &p->window;
    const int32_t depth = win->kernel_h * win->kernel_w * p->input_c;
    const layer l = {
        .weights = weights,
        .channels = channels,
        .groups = (depth + 3) / 4,
        .output_c = p->output_c,
        .low = p->activation_min,
        .high = p->activation_max,
        .is_clamped = p->activation_min > INT8_MIN || p->activation_max < INT8_MAX,
    };
    const int32_t pixels = win->output_h * win->output_w;
    const uint32_t offset = tyf_twice(p->input_offset);
    uint32_t *columns = scratch;
    int8_t *window = (int8_t *)(columns + 4 * l.groups);
    /* Bytes after the window meet weights of zero; they need only be defined. */
    memset(window + depth, 0, (size_t)(4 * l.groups - depth));
    const bool is_direct = win->kernel_h == 1 && win->kernel_w == 1 && depth % 4 == 0;
    int32_t oy = 0, ox = 0;
    for (int32_t pixel = 0; pixel < pixels; pixel++) {
        const int8_t *source = window;
        if (is_direct) {
            source = input + (oy * win->stride_h * win->input_w + ox * win->stride_w) * p->input_c;
        } else {
            copy_window(p, input, oy, ox, window);
        }
        tyf_widen(source, l.groups, offset, columns + 2 * (pixel & 1), 4);
        if ((pixel & 1) != 0) {
            two_pixels(&l, columns, output + (pixel - 1) * p->output_c, output + pixel * p->output_c);
        }
        if (++ox == win->output_w) {
            ox = 0;
            oy++;
        }
    }
    if ((pixels & 1) != 0) {
        two_pixels(&l, columns, output + (pixels - 1) * p->output_c, NULL);
    }
}
