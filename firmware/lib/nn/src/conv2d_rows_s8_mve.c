/*
 * CONV_2D 3x3, int8, for Helium: rows of the input for the core, conv2d_rows_mve.S. As many as a window has are kept,
 * with their channels in blocks of 16 and the padding around them; each is copied once.
 */
#include <string.h>

#include "tyf/nn/kernels_mve.h"
#include "tyf/nn/mve.h"

#define KERNEL 3

/* Of the core; it knows the offsets of these members. */
typedef struct {
    const int8_t *const *segments;
    int32_t count;
    const uint32_t *stream, *stream_end;
    int8_t *output;
    int32_t output_step;
    int32_t pixels;
} tyf_mve_rows;

typedef void (*tyf_mve_rows_fn)(const tyf_mve_rows *rows);

void tyf_mve_rows_s1(const tyf_mve_rows *rows);
void tyf_mve_rows_s1_relu(const tyf_mve_rows *rows);
void tyf_mve_rows_s2(const tyf_mve_rows *rows);
void tyf_mve_rows_s2_relu(const tyf_mve_rows *rows);

/* One row of the input into its place: 16 channels of all columns, then the next 16. */
static void copy_row(const tyf_conv2d_s8_params *p, const int8_t *input, int32_t y, int32_t block_step, int8_t *slot) {
    const tyf_window *win = &p->window;
    const int32_t columns = TYF_CONV2D_ROWS_MVE_COLUMNS(win->output_w, win->stride_w) - win->pad_w;
    const int32_t row = y * win->input_w * p->input_c;
    for (int32_t c = 0; c < p->input_c; c += 16) {
        const tyf_mve_windows windows = {
            .source = input + row + c,
            .column = slot + 16 * win->pad_w,
            .pixels = 1,
            .rows = win->input_w < columns ? win->input_w : columns,
            .row_step = p->input_c,
            .row_bytes = p->input_c - c < 16 ? p->input_c - c : 16,
            .column_row_step = 16,
        };
        tyf_mve_copy_windows(&windows);
        slot += block_step;
    }
}

static void conv2d_rows(const tyf_conv2d_s8_params *p, const int8_t *input, const uint32_t *stream, void *scratch,
                        int8_t *output, tyf_mve_rows_fn core) {
    const tyf_window *win = &p->window;
    const int32_t blocks = (p->input_c + 15) / 16;
    const int32_t block_step = 16 * TYF_CONV2D_ROWS_MVE_COLUMNS(win->output_w, win->stride_w);
    const int32_t slot_bytes = blocks * block_step;
    const int8_t *segments[TYF_MVE_SEGMENTS];
    int8_t *slots = scratch;
    int8_t *outside = slots + KERNEL * slot_bytes;
    memset(slots, (int)(uint8_t)(-p->input_offset), (size_t)((KERNEL + 1) * slot_bytes));
    tyf_mve_rows rows = {
        .segments = segments,
        .count = KERNEL * blocks,
        .stream = stream,
        .stream_end = stream + p->output_c / 4 * (28 + KERNEL * KERNEL * 16 * blocks),
        .output = output,
        .output_step = p->output_c,
        .pixels = win->output_w,
    };
    int32_t next = 0; /* row of the input that was not copied yet */
    for (int32_t oy = 0; oy < win->output_h; oy++) {
        const int32_t y0 = oy * win->stride_h - win->pad_h;
        const int8_t **segment = segments;
        for (int32_t y = y0; y < y0 + KERNEL; y++) {
            int8_t *slot = outside;
            if (y >= 0 && y < win->input_h) {
                slot = slots + y % KERNEL * slot_bytes;
                if (y >= next) {
                    copy_row(p, input, y, block_step, slot);
                    next = y + 1;
                }
            }
            for (int32_t block = 0; block < blocks; block++) {
                *segment++ = slot + block * block_step;
            }
        }
        core(&rows);
        rows.output += win->output_w * p->output_c;
    }
    const int32_t elements = win->output_h * win->output_w * p->output_c;
    tyf_mve_clamp(output, elements, p->activation_min, p->activation_max);
}

void tyf_conv2d_rows_s1_s8_mve(const tyf_conv2d_s8_params *p, const int8_t *input, const uint32_t *stream,
                               void *scratch, int8_t *output) {
    conv2d_rows(p, input, stream, scratch, output, tyf_mve_rows_s1);
}

void tyf_conv2d_rows_s1_relu_s8_mve(const tyf_conv2d_s8_params *p, const int8_t *input, const uint32_t *stream,
                                    void *scratch, int8_t *output) {
    conv2d_rows(p, input, stream, scratch, output, tyf_mve_rows_s1_relu);
}

void tyf_conv2d_rows_s2_s8_mve(const tyf_conv2d_s8_params *p, const int8_t *input, const uint32_t *stream,
                               void *scratch, int8_t *output) {
    conv2d_rows(p, input, stream, scratch, output, tyf_mve_rows_s2);
}

void tyf_conv2d_rows_s2_relu_s8_mve(const tyf_conv2d_s8_params *p, const int8_t *input, const uint32_t *stream,
                                    void *scratch, int8_t *output) {
    conv2d_rows(p, input, stream, scratch, output, tyf_mve_rows_s2_relu);
}
