/* CONV_2D, int8, for ARMv6-M: four output pixels at a time, their windows packed in pairs. */
#include <stdbool.h>
#include <string.h>

#include "tyf/nn/fixed.h"
#include "tyf/nn/kernels_v6m.h"

/* What conv2d_block_v6m.S reads, by offset. */
typedef struct {
    const uint32_t *columns;
    const int8_t *weights;
    const uint8_t *schedule;
    const int32_t *channels;
    int8_t *output;
    int32_t pixel_step;
    int32_t weights_step; /* from the ninth weight of a block to the first of the next */
    const int8_t *weights_end;
} tyf_v6m_block;

/* A kernel row of four pixels, likewise. */
typedef struct {
    const int8_t *pixels[4]; /* where the first tap would read */
    uint32_t x[4];           /* its column, at least `width` for a tap that is outside; modulo 2^32 */
    const int8_t *outside;   /* what a tap outside reads */
    uint32_t width;
    int32_t step_bytes; /* from a tap to the next */
    uint32_t step_x;
    uint32_t taps;
    uint32_t count; /* bytes of a tap */
} tyf_v6m_row;

typedef void (*block_fn)(const tyf_v6m_block *block);

void tyf_v6m_conv_block(const tyf_v6m_block *block);
void tyf_v6m_conv_block_knee(const tyf_v6m_block *block);
uint32_t *tyf_v6m_pack(const int8_t *const pixels[4], uint32_t *columns, uint32_t count);
uint32_t *tyf_v6m_pack_row(const tyf_v6m_row *row, uint32_t *columns);

/* Where the window of an output pixel begins. */
typedef struct {
    int32_t y, x;
} corner;

/* The windows of four pixels, row by row from where they begin: all of them lie inside the image. */
static void pack_inside(const tyf_conv2d_s8_params *p, const int8_t *rows[4], uint32_t *columns) {
    const int32_t row_bytes = p->window.input_w * p->input_c;
    const uint32_t count = (uint32_t)(p->window.kernel_w * p->input_c);
    for (int32_t ky = p->window.kernel_h;;) {
        columns = tyf_v6m_pack(rows, columns, count);
        if (--ky == 0) {
            return;
        }
        rows[0] += row_bytes;
        rows[1] += row_bytes;
        rows[2] += row_bytes;
        rows[3] += row_bytes;
    }
}

/* Right of any image, however far a kernel reaches from there. */
#define BEYOND 0x40000000u

/* The same tap by tap, from `outside` where a tap leaves the image. */
static void pack_taps(const tyf_conv2d_s8_params *p, const int8_t *input, const corner *at, const int8_t *outside,
                      uint32_t *columns) {
    const tyf_window *win = &p->window;
    tyf_v6m_row row = {
        .outside = outside,
        .width = win->input_w,
        .step_bytes = win->dilation_w * p->input_c,
        .step_x = win->dilation_w,
        .taps = win->kernel_w,
        .count = (uint32_t)p->input_c,
    };
    for (int32_t ky = 0; ky < win->kernel_h; ky++) {
        for (int32_t i = 0; i < 4; i++) {
            const int32_t y = at[i].y + ky * win->dilation_h;
            row.pixels[i] = input + (y * win->input_w + at[i].x) * p->input_c;
            row.x[i] = (uint32_t)y < win->input_h ? (uint32_t)at[i].x : BEYOND;
        }
        columns = tyf_v6m_pack_row(&row, columns);
    }
}

/* Places along an axis at which a window of `kernel` lies inside `input`, from 0 on. */
static uint32_t count_inside(int32_t input, int32_t kernel, int32_t dilation) {
    return dilation == 1 && kernel <= input ? (uint32_t)(input - kernel + 1) : 0;
}

static void convolve(const tyf_conv2d_s8_params *p, const int8_t *input, const uint32_t *weights,
                     const uint8_t *schedule, const int32_t *channels, void *scratch, int8_t *output,
                     block_fn run_block) {
    const tyf_window *win = &p->window;
    const int32_t depth = win->kernel_h * win->kernel_w * p->input_c;
    const int32_t even_depth = depth + (depth & 1);
    const uint32_t inside_h = count_inside(win->input_h, win->kernel_h, win->dilation_h);
    const uint32_t inside_w = count_inside(win->input_w, win->kernel_w, win->dilation_w);
    const int32_t step_bytes = win->stride_w * p->input_c;
    /* The block counts filters by the distance of weights and columns modulo 8. */
    uint32_t *columns = (uint32_t *)scratch + (((uintptr_t)weights ^ (uintptr_t)scratch) & 4u) / 4u;
    int8_t *outside = (int8_t *)(columns + 2 * even_depth);
    int8_t *spare = outside + p->input_c;
    const int8_t *first_block = (const int8_t *)weights;
    tyf_v6m_block block = {
        .columns = columns,
        .weights = first_block + (-p->output_c & 7),
        .schedule = schedule,
        .channels = channels,
        .output = output,
        .pixel_step = p->output_c,
        .weights_step = 8 * even_depth - 8,
        .weights_end = first_block + (p->output_c - 1) / 8 * 8 * even_depth + 8,
    };
    corner at[4], next = {-win->pad_h, -win->pad_w};
    int32_t left_in_row = win->output_w;
    const int8_t *from = input + (next.y * win->input_w + next.x) * p->input_c;
    memset(outside, (int)(uint8_t)(-p->input_offset), (size_t)p->input_c);
    columns[2 * even_depth - 2] = 0; /* an odd depth's last weight is zero */
    columns[2 * even_depth - 1] = 0;
    for (int32_t left = win->output_h * win->output_w; left > 0; left -= 4) {
        const int8_t *rows[4];
        bool all_inside = true;
        for (int32_t i = 0; i < 4; i++) {
            at[i] = next;
            rows[i] = from;
            all_inside = all_inside && (uint32_t)next.y < inside_h && (uint32_t)next.x < inside_w;
            if (i + 1 < left) { /* the last pixel fills up its block */
                next.x += win->stride_w;
                from += step_bytes;
                if (--left_in_row == 0) {
                    left_in_row = win->output_w;
                    next.x = -win->pad_w;
                    next.y += win->stride_h;
                    from = input + (next.y * win->input_w + next.x) * p->input_c;
                }
            }
        }
        if (all_inside) {
            pack_inside(p, rows, columns);
        } else {
            pack_taps(p, input, at, outside, columns);
        }
        if (left >= 4) {
            run_block(&block);
            block.output += 4 * p->output_c;
        } else {
            int8_t *last = block.output;
            block.output = spare;
            run_block(&block);
            memcpy(last, spare, (size_t)(left * p->output_c));
        }
    }
    if (p->activation_min > INT8_MIN || p->activation_max < INT8_MAX) {
        for (int32_t i = win->output_h * win->output_w * p->output_c; i != 0; i--, output++) {
            *output = (int8_t)tyf_clamp(*output, p->activation_min, p->activation_max);
        }
    }
}

void tyf_conv2d_s8_v6m(const tyf_conv2d_s8_params *p, const int8_t *input, const uint32_t *weights,
                       const uint8_t *schedule, const int32_t *channels, void *scratch, int8_t *output) {
    convolve(p, input, weights, schedule, channels, scratch, output, tyf_v6m_conv_block);
}

void tyf_conv2d_knee_s8_v6m(const tyf_conv2d_s8_params *p, const int8_t *input, const uint32_t *weights,
                            const uint8_t *schedule, const int32_t *channels, void *scratch, int8_t *output) {
    convolve(p, input, weights, schedule, channels, scratch, output, tyf_v6m_conv_block_knee);
}

/* The chain of steps in conv2d_block_v6m.S: how many may be skipped, bytes of one, from the first chain to the second.
 */
#define CHAIN 8u
#define STEP_BYTES 12u
#define SECOND_CHAIN (CHAIN * STEP_BYTES + 26u)

uint32_t tyf_conv2d_v6m_schedule_bytes(const uint8_t *schedule, uint32_t bytes, uint32_t filters, uint32_t depth) {
    uint32_t at = 0, left = depth;
    while (filters != 0) {
        if (at == bytes) {
            return 0;
        }
        const uint32_t distance = schedule[at++];
        const bool is_last = distance >= SECOND_CHAIN;
        const uint32_t skipped = is_last ? distance - SECOND_CHAIN : distance;
        const uint32_t products = CHAIN + 2u - skipped / STEP_BYTES;
        if (skipped % STEP_BYTES != 0 || skipped > CHAIN * STEP_BYTES || products > left ||
            is_last != (products == left)) {
            return 0;
        }
        left -= products;
        if (is_last) {
            left = depth;
            filters--;
        }
    }
    return at;
}
