/* CONV_2D, int8, for cores with the DSP extension: two pixels by two channels, weights in halves. */
#include <stdbool.h>
#include <stddef.h>

#include "tyf/nn/dsp.h"

/* What all pixels share, in the order in which the assembly copies it to its stack. */
typedef struct {
    int32_t rounds; /* of eight groups of four weights */
    int32_t skip;   /* bytes of code that the first round leaves out */
    int32_t step;   /* bytes from the first pixel to the second; 0 when there is none: its byte is overwritten */
    int32_t output_c;
} tile;

/* clang-format off */

#define GROUP_BYTES 48

/* Sixteen products: 256 times the sums of four weights of two channels for two pixels. */
#define GROUP                                                                                                          \
    "ldm.w r0!, {r2-r5}\n"                                                                                             \
    "ldrd r6, r7, [r1], #8\n"                                                                                          \
    "smlad r8, r6, r2, r8\n"                                                                                           \
    "smlad r10, r6, r4, r10\n"                                                                                         \
    "sxtb16 r6, r6\n"                                                                                                  \
    "smlad r9, r7, r2, r9\n"                                                                                           \
    "smlad r11, r7, r4, r11\n"                                                                                         \
    "sxtb16 r7, r7\n"                                                                                                  \
    "smlad r8, r6, r3, r8\n"                                                                                           \
    "smlad r10, r6, r5, r10\n"                                                                                         \
    "smlad r9, r7, r3, r9\n"                                                                                           \
    "smlad r11, r7, r5, r11\n"

/*
 * tyf_dsp_requantize_doubled() of 256 times a sum. Roundings nest, so one high multiply of it and one shift do, with
 * 7 bits more: round is 64 + 128 * (2^(shift - 1) + (output_offset << shift)), less 128 for a negative sum.
 */
#define FINISH(sum, multiplier, round, shift)                                                                          \
    "asr r0, " sum ", #31\n"                                                                                           \
    "add r0, " round ", r0, lsl #7\n"                                                                                  \
    "smmla " sum ", " sum ", " multiplier ", r0\n"                                                                     \
    "asr " sum ", " sum ", " shift "\n"                                                                                \
    "ssat " sum ", #8, " sum "\n"

/* The same when the output's zero point is -128: what is negative is clamped, however it was rounded. */
#define FINISH_CLAMPED(sum, multiplier, round, shift)                                                                  \
    "smmla " sum ", " sum ", " multiplier ", " round "\n"                                                              \
    "asr " sum ", " sum ", " shift "\n"                                                                                \
    "ssat " sum ", #8, " sum "\n"

/*
 * columns: for each group of four, two expanded words of each pixel. stream: for each two channels their biases, for
 * each group a word of weights of each, then multiplier, round and shift of each. The loop uses every register, which
 * the compiler cannot be asked for; twelve instructions a group, where it makes twenty.
 */
#define TWO_PIXELS(FINISH)                                                                                             \
    __asm volatile(                                                                                                    \
        "push {r4-r11, lr}\n"                                                                                          \
        "sub sp, #20\n"                                                                                                \
        "mov r12, r2\n"                                                                                                \
        "ldm r3, {r3-r6}\n"                                                                                            \
        "add r6, r2\n"                                                                                                 \
        "strd r0, r3, [sp, #0]\n" /* columns, rounds of eight groups */                                                \
        "strd r5, r6, [sp, #8]\n" /* step, where the first pixel ends */                                               \
        "str r4, [sp, #16]\n"     /* bytes of code that the first round skips */                                       \
        "1:\n"                                                                                                         \
        "ldr r2, [sp, #16]\n"                                                                                          \
        "ldrd r0, lr, [sp, #0]\n"                                                                                      \
        "ldm r1!, {r8, r9}\n"                                                                                          \
        "mov r10, r8\n"                                                                                                \
        "mov r11, r9\n"                                                                                                \
        "add pc, r2\n" /* from four bytes on */                                                                        \
        "nop\n"                                                                                                        \
        "2:\n"                                                                                                         \
        GROUP                                                                                                          \
        "3:\n"                                                                                                         \
        ".if 3b - 2b != 48\n"                                                                                          \
        ".error \"a group is not GROUP_BYTES\"\n"                                                                      \
        ".endif\n"                                                                                                     \
        GROUP GROUP GROUP GROUP GROUP GROUP GROUP                                                                      \
        "subs lr, #1\n"                                                                                                \
        "bne 2b\n"                                                                                                     \
        "ldm r1!, {r2-r7}\n"                                                                                           \
        FINISH("r8", "r2", "r3", "r4")                                                                                 \
        FINISH("r10", "r2", "r3", "r4")                                                                                \
        FINISH("r9", "r5", "r6", "r7")                                                                                 \
        FINISH("r11", "r5", "r6", "r7")                                                                                \
        "ldrd r2, r3, [sp, #8]\n"                                                                                      \
        "strb r10, [r12, r2]\n"                                                                                        \
        "strb r8, [r12], #1\n"                                                                                         \
        "strb r11, [r12, r2]\n"                                                                                        \
        "strb r9, [r12], #1\n"                                                                                         \
        "cmp r12, r3\n"                                                                                                \
        "bne 1b\n"                                                                                                     \
        "add sp, #20\n"                                                                                                \
        "pop {r4-r11, pc}\n")

__attribute__((naked, noinline)) static void two_pixels(const uint32_t *columns, const uint32_t *stream, int8_t *first,
                                                        tile *where) {
    (void)columns;
    (void)stream;
    (void)first;
    (void)where;
    TWO_PIXELS(FINISH);
}

__attribute__((naked, noinline)) static void two_clamped_pixels(const uint32_t *columns, const uint32_t *stream,
                                                                int8_t *first, tile *where) {
    (void)columns;
    (void)stream;
    (void)first;
    (void)where;
    TWO_PIXELS(FINISH_CLAMPED);
}

/* clang-format on */

/* Expand a window that does not leave the image and starts at `from`; `window` is for one that has to be copied before.
 */
static inline void expand_inside(const tyf_conv2d_s8_params *p, int32_t row_bytes, const int8_t *from, int8_t *window,
                                 uint32_t *to) {
    const int32_t image_row_bytes = p->window.input_w * p->input_c;
    int32_t rows = p->window.kernel_h;
    if (row_bytes % 4 == 0) {
        do {
            tyf_expand(from, row_bytes / 4, to, 4);
            from += image_row_bytes;
            to += row_bytes;
        } while (--rows != 0);
    } else {
        int8_t *row = window;
        if (row_bytes >= 8 && row_bytes <= 12) {
            /* Three words that may overlap: the first layers of many models have rows of nine bytes. */
            do {
                const uint32_t first = tyf_load_word(from), second = tyf_load_word(from + 4);
                const int8_t *last = from + row_bytes - 4;
                tyf_store_word(row, first);
                tyf_store_word(row + 4, second);
                row += row_bytes;
                tyf_store_word(row - 4, tyf_load_word(last));
                from += image_row_bytes;
            } while (--rows != 0);
        } else {
            do {
                tyf_copy_bytes(row, from, row_bytes);
                from += image_row_bytes;
                row += row_bytes;
            } while (--rows != 0);
        }
        tyf_expand(window, (p->window.kernel_h * row_bytes + 3) / 4, to, 4);
    }
}

/* Expand the window of an output pixel that leaves the image. Apart, so that it does not cost convolve() stack. */
__attribute__((noinline)) static void expand_at_edge(const tyf_conv2d_s8_params *p, const int8_t *input, int32_t oy,
                                                     int32_t ox, int8_t *window, uint32_t *to) {
    const tyf_window *win = &p->window;
    if (p->input_c % 4 != 0) {
        tyf_copy_window(p, input, oy, ox, window);
        tyf_expand(window, (win->kernel_h * win->kernel_w * p->input_c + 3) / 4, to, 4);
        return;
    }
    const uint32_t zero_points = 0x01010101u * (uint8_t)(-p->input_offset);
    uint32_t outside[2];
    tyf_expand((const int8_t *)&zero_points, 1, outside, 2);
    const int32_t words = p->input_c / 4;
    int32_t y = oy * win->stride_h - win->pad_h;
    for (int32_t ky = win->kernel_h; ky > 0; ky--, y++) {
        int32_t x = ox * win->stride_w - win->pad_w;
        for (int32_t kx = win->kernel_w; kx > 0; kx--, x++) {
            if ((uint32_t)y < win->input_h && (uint32_t)x < win->input_w) {
                tyf_expand(input + (y * win->input_w + x) * p->input_c, words, to, 4);
                to += 4 * words;
            } else {
                for (int32_t left = words; left > 0; left--, to += 4) {
                    to[0] = outside[0];
                    to[1] = outside[1];
                }
            }
        }
    }
}

typedef void compute_fn(const uint32_t *columns, const uint32_t *stream, int8_t *first, tile *where);

/* `where` is for `compute` and filled in here. */
__attribute__((noinline)) static void convolve(const tyf_conv2d_s8_params *p, const int8_t *input,
                                               const uint32_t *stream, compute_fn *compute, tile *where, void *scratch,
                                               int8_t *output) {
    const tyf_window *win = &p->window;
    const int32_t row_bytes = win->kernel_w * p->input_c, depth = win->kernel_h * row_bytes, groups = (depth + 3) / 4;
    uint32_t *columns = scratch;
    int8_t *window = (int8_t *)(columns + 4 * groups);
    /* Bytes after the window meet weights of zero; they need only be defined. There is none for whole words a pixel. */
    memset(window + depth, 0, (size_t)(4 * groups - depth));
    *where = (tile){(groups + 7) / 8, (-groups & 7) * GROUP_BYTES, p->output_c, p->output_c};
    const int32_t count = win->output_h * win->output_w * p->output_c;
    int8_t *to = output, *const last = output + count - p->output_c;
    uint32_t *column = columns;
    for (int32_t oy = 0; oy < win->output_h; oy++) {
        const int32_t y = oy * win->stride_h - win->pad_h;
        const bool has_all_rows = y >= 0 && y + win->kernel_h <= win->input_h;
        int32_t x = -(int32_t)win->pad_w;
        for (int32_t ox = 0; ox < win->output_w; ox++, x += win->stride_w) {
            if (has_all_rows && x >= 0 && x + win->kernel_w <= win->input_w) {
                expand_inside(p, row_bytes, input + (y * win->input_w + x) * p->input_c, window, column);
            } else {
                expand_at_edge(p, input, oy, ox, window, column);
            }
            if (column != columns) {
                compute(columns, stream, to, where);
                to += 2 * p->output_c;
                column = columns;
            } else if (to == last) {
                where->step = 0;
                compute(columns, stream, to, where);
            } else {
                column += 2;
            }
        }
    }
    tyf_dsp_clamp(output, count, p->activation_min, p->activation_max);
}

void tyf_conv2d_s8_dsp(const tyf_conv2d_s8_params *p, const int8_t *input, const uint32_t *stream, void *scratch,
                       int8_t *output) {
    tile where;
    convolve(p, input, stream, two_pixels, &where, scratch, output);
}

void tyf_conv2d_clamped_s8_dsp(const tyf_conv2d_s8_params *p, const int8_t *input, const uint32_t *stream,
                               void *scratch, int8_t *output) {
    tile where;
    convolve(p, input, stream, two_clamped_pixels, &where, scratch, output);
}

/* A tile whose pixels are added to those of another tensor. */
typedef struct {
    tile where; /* first: what is given to `compute` */
    const tyf_dsp_conv2d_add *params;
    const int8_t *residual; /* of the next two pixels */
    const int32_t *table;
    int8_t *sums; /* two pixels of the convolution */
} added_tile;

static void two_added_pixels(const uint32_t *columns, const uint32_t *stream, int8_t *first, tile *where) {
    added_tile *t = (added_tile *)where;
    two_pixels(columns, stream, t->sums, where);
    const int8_t *shifted = t->residual, *looked_up = t->sums;
    t->residual += t->params->add.elements;
    if (t->params->looks_up_residual != 0) {
        looked_up = shifted;
        shifted = t->sums;
    }
    tyf_add_s8_dsp(&t->params->add, shifted, looked_up, t->table, first);
}

void tyf_conv2d_add_s8_dsp(const tyf_dsp_conv2d_add *p, const int8_t *input, const uint32_t *stream,
                           const int8_t *residual, const int32_t *table, void *scratch, int8_t *output) {
    const int32_t depth = p->conv.window.kernel_h * p->conv.window.kernel_w * p->conv.input_c;
    added_tile t = {
        .params = p,
        .residual = residual,
        .table = table,
        .sums = (int8_t *)scratch + TYF_CONV2D_HALVES_DSP_SCRATCH_BYTES(depth, p->conv.input_c),
    };
    convolve(&p->conv, input, stream, two_added_pixels, &t.where, scratch, output);
}
