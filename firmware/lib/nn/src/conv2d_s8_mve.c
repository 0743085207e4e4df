/*
 * CONV_2D, int8, for Helium. A 1x1 convolution reads its pixels where they are; others copy the window of each pixel
 * into a column. The core, conv2d_tile_mve.S, takes runs of pixels at one distance.
 */
#include <stdbool.h>
#include <string.h>

#include "tyf/nn/kernels_mve.h"
#include "tyf/nn/mve.h"

/* Of the core; it knows the offsets of these members. */
typedef struct {
    const int8_t *input;
    const uint32_t *stream, *stream_end;
    int8_t *output;
    int32_t step; /* bytes from pixel to pixel */
    int32_t output_step;
    int32_t pixels; /* 1 with steps of 0, else at least 4 */
    int32_t blocks; /* of 16 in the depth */
} tyf_mve_run;

typedef void (*tyf_mve_tile_fn)(const tyf_mve_run *run);

void tyf_mve_tile(const tyf_mve_run *run);
void tyf_mve_tile_relu(const tyf_mve_run *run);
void tyf_mve_tile_deep(const tyf_mve_run *run);
void tyf_mve_tile_deep_relu(const tyf_mve_run *run);

typedef struct {
    const tyf_conv2d_s8_params *p;
    const int8_t *input;
    const uint32_t *stream, *stream_end;
    int8_t *columns;
    int8_t *tile; /* outputs of a run whose pixels cannot be written word by word; NULL when they can */
    tyf_mve_tile_fn core;
    int32_t depth;
    int32_t padded_depth;
    int32_t padded_output_c;
} layer;

static int32_t larger(int32_t a, int32_t b) {
    return a > b ? a : b;
}

static int32_t smaller(int32_t a, int32_t b) {
    return a < b ? a : b;
}

/* The core writes pixels in groups of four, so fewer go one by one. */
static void run_core(const layer *l, const int8_t *input, int32_t step, int32_t pixels, int8_t *output,
                     int32_t output_step) {
    tyf_mve_run run = {input, l->stream, l->stream_end, output, step, output_step, pixels, l->padded_depth / 16};
    if (pixels >= 4) {
        l->core(&run);
        return;
    }
    run.step = 0;
    run.output_step = 0;
    run.pixels = 1;
    for (int32_t i = 0; i < pixels; i++) {
        l->core(&run);
        run.input += step;
        run.output += output_step;
    }
}

static void run_pixels(const layer *l, const int8_t *input, int32_t step, int32_t pixels, int8_t *output) {
    const int32_t output_c = l->p->output_c;
    if (l->tile == NULL) {
        run_core(l, input, step, pixels, output, output_c);
        return;
    }
    for (int32_t done = 0; done < pixels; done += TYF_MVE_TILE_PIXELS) {
        const int32_t count = smaller(pixels - done, TYF_MVE_TILE_PIXELS);
        run_core(l, input + done * step, step, count, l->tile, l->padded_output_c);
        for (int32_t i = 0; i < count; i++) {
            tyf_mve_copy(l->tile + i * l->padded_output_c, output_c, output);
            output += output_c;
        }
    }
}

/* Columns of pixels of one row whose windows all leave the image in the same way. */
static void fill_columns(const layer *l, int32_t oy, int32_t ox, int32_t pixels, int8_t *column) {
    const tyf_conv2d_s8_params *p = l->p;
    const tyf_window *win = &p->window;
    const int32_t y = oy * win->stride_h - win->pad_h, x = ox * win->stride_w - win->pad_w;
    const int32_t top = larger(-y, 0), left = larger(-x, 0);
    const int32_t rows = smaller(win->input_h - y, win->kernel_h) - top;
    const int32_t taps = smaller(win->input_w - x, win->kernel_w) - left;
    const int32_t row_bytes = win->kernel_w * p->input_c;
    if (rows != win->kernel_h || taps != win->kernel_w) {
        memset(column, (int)(uint8_t)(-p->input_offset), (size_t)(pixels * l->padded_depth));
    }
    if (rows <= 0 || taps <= 0) {
        return;
    }
    const tyf_mve_windows windows = {
        .source = l->input + ((y + top) * win->input_w + x + left) * p->input_c,
        .column = column + top * row_bytes + left * p->input_c,
        .pixels = pixels,
        .pixel_step = win->stride_w * p->input_c,
        .column_step = l->padded_depth,
        .rows = rows,
        .row_step = win->input_w * p->input_c,
        .row_bytes = taps * p->input_c,
        .column_row_step = row_bytes,
    };
    tyf_mve_copy_windows(&windows);
}

/* Pixels from `first` on, through columns. What lies behind the window of a column meets weights of zero. */
static void run_windows(const layer *l, int32_t first, int8_t *output) {
    const tyf_conv2d_s8_params *p = l->p;
    const tyf_window *win = &p->window;
    /* Columns of the output from inner_begin to inner_end have windows that lie between the image's sides. */
    const int32_t inner_begin = (win->pad_w + win->stride_w - 1) / win->stride_w;
    const int32_t inner_end = larger(win->input_w - win->kernel_w + win->pad_w + win->stride_w, 0) / win->stride_w;
    int32_t oy = first / win->output_w, ox = first % win->output_w;
    int32_t left = win->output_h * win->output_w - first;
    const int32_t at_once = TYF_MVE_COLUMNS(l->padded_depth);
    int32_t filled = 0;
    while (left > 0) {
        int32_t count = 1;
        if (ox >= inner_begin && ox < inner_end) {
            count = smaller(smaller(inner_end, win->output_w) - ox, at_once - filled);
        }
        fill_columns(l, oy, ox, count, l->columns + filled * l->padded_depth);
        filled += count;
        left -= count;
        if (filled == at_once || left == 0) {
            run_pixels(l, l->columns, l->padded_depth, filled, output);
            output += filled * p->output_c;
            filled = 0;
        }
        ox += count;
        if (ox == win->output_w) {
            ox = 0;
            oy++;
        }
    }
}

/* 1x1: pixels that the core may read where they are, from the first on; the others are too close to the input's end. */
static int32_t run_direct(const layer *l, int8_t *output) {
    const tyf_conv2d_s8_params *p = l->p;
    const tyf_window *win = &p->window;
    const bool is_dense = win->stride_h == 1 && win->stride_w == 1;
    const int32_t rows = is_dense ? 1 : win->output_h;
    const int32_t row_pixels = win->output_h * win->output_w / rows;
    const int32_t step = win->stride_w * p->input_c;
    const int32_t row_step = win->stride_h * win->input_w * p->input_c;
    const int32_t input_bytes = win->input_h * win->input_w * p->input_c;
    int32_t pixels = 0;
    for (int32_t row = 0; row < rows; row++) {
        const int32_t readable = (input_bytes - row * row_step - l->padded_depth + step) / step;
        const int32_t count = smaller(readable, row_pixels);
        if (count < 4) {
            break;
        }
        run_pixels(l, l->input + row * row_step, step, count, output);
        output += count * p->output_c;
        pixels += count;
        if (count != row_pixels) {
            break;
        }
    }
    return pixels;
}

static void conv2d(const tyf_conv2d_s8_params *p, const int8_t *input, const uint32_t *stream, void *scratch,
                   int8_t *output, tyf_mve_tile_fn core) {
    const tyf_window *win = &p->window;
    const int32_t depth = win->kernel_h * win->kernel_w * p->input_c;
    const int32_t padded_depth = (depth + 15) & ~15;
    const int32_t padded_output_c = (p->output_c + 3) & ~3;
    const int32_t words = padded_output_c / 4 * (28 + padded_depth);
    int8_t *columns = scratch;
    const layer l = {
        .p = p,
        .input = input,
        .stream = stream,
        .stream_end = stream + words,
        .columns = columns,
        .tile = padded_output_c == p->output_c ? NULL : columns + TYF_MVE_COLUMNS(padded_depth) * padded_depth,
        .core = core,
        .depth = depth,
        .padded_depth = padded_depth,
        .padded_output_c = padded_output_c,
    };
    const bool is_pointwise = win->kernel_h == 1 && win->kernel_w == 1 && win->pad_h == 0 && win->pad_w == 0;
    const int32_t done = is_pointwise ? run_direct(&l, output) : 0;
    if (done < win->output_h * win->output_w) {
        run_windows(&l, done, output + done * p->output_c);
    }
    tyf_mve_clamp(output, win->output_h * win->output_w * p->output_c, p->activation_min, p->activation_max);
}

void tyf_conv2d_s8_mve(const tyf_conv2d_s8_params *p, const int8_t *input, const uint32_t *stream, void *scratch,
                       int8_t *output) {
    conv2d(p, input, stream, scratch, output, tyf_mve_tile);
}

void tyf_conv2d_relu_s8_mve(const tyf_conv2d_s8_params *p, const int8_t *input, const uint32_t *stream, void *scratch,
                            int8_t *output) {
    conv2d(p, input, stream, scratch, output, tyf_mve_tile_relu);
}

void tyf_conv2d_deep_s8_mve(const tyf_conv2d_s8_params *p, const int8_t *input, const uint32_t *stream, void *scratch,
                            int8_t *output) {
    conv2d(p, input, stream, scratch, output, tyf_mve_tile_deep);
}

void tyf_conv2d_deep_relu_s8_mve(const tyf_conv2d_s8_params *p, const int8_t *input, const uint32_t *stream,
                                 void *scratch, int8_t *output) {
    conv2d(p, input, stream, scratch, output, tyf_mve_tile_deep_relu);
}
