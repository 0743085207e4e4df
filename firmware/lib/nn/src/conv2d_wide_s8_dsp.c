/* CONV_2D, int8, for cores with the DSP extension, any sum below 2^30: two pixels by two channels. */
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

void tyf_conv2d_wide_s8_dsp(const tyf_conv2d_s8_params *p, const int8_t *input, const uint32_t *weights,
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
            tyf_copy_window(p, input, oy, ox, window);
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
