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
                                                        const tile *where) {
    (void)columns;
    (void)stream;
    (void)first;
    (void)where;
    TWO_PIXELS(FINISH);
}

__attribute__((naked, noinline)) static void two_clamped_pixels(const uint32_t *columns, const uint32_t *stream,
                                                                int8_t *first, const tile *where) {
    (void)columns;
    (void)stream;
    (void)first;
    (void)where;
    TWO_PIXELS(FINISH_CLAMPED);
}

/* clang-format on */

/* What the windows of all pixels share. */
typedef struct {
    int8_t *window;    /* bytes of one that cannot be expanded where it lies */
    int32_t rows;      /* of a window */
    int32_t row_bytes; /* of a window */
    int32_t image_row_bytes;
    int32_t last_x; /* of windows that do not leave the image */
    int32_t middle; /* where the second word of a short row begins */
    bool has_whole_words;
} source;

/* Expand a window that does not leave the image and starts at `from`. */
static inline void expand_inside(const source *s, const int8_t *from, uint32_t *to) {
    int32_t rows = s->rows;
    if (s->has_whole_words) {
        do {
            tyf_expand(from, s->row_bytes / 4, to, 4);
            from += s->image_row_bytes;
            to += s->row_bytes;
        } while (--rows != 0);
    } else {
        int8_t *window = s->window;
        do {
            if (s->row_bytes >= 4 && s->row_bytes <= 12) {
                /* Three words that may overlap: the first layers of many models have rows of nine bytes. */
                tyf_store_word(window, tyf_load_word(from));
                tyf_store_word(window + s->middle, tyf_load_word(from + s->middle));
                tyf_store_word(window + s->row_bytes - 4, tyf_load_word(from + s->row_bytes - 4));
            } else {
                tyf_copy_bytes(window, from, s->row_bytes);
            }
            from += s->image_row_bytes;
            window += s->row_bytes;
        } while (--rows != 0);
        tyf_expand(s->window, (s->rows * s->row_bytes + 3) / 4, to, 4);
    }
}

typedef void compute_fn(const uint32_t *columns, const uint32_t *stream, int8_t *first, const tile *where);

__attribute__((noinline)) static void convolve(const tyf_conv2d_s8_params *p, const int8_t *input,
                                               const uint32_t *stream, compute_fn *compute, void *scratch,
                                               int8_t *output) {
    const tyf_window *win = &p->window;
    const int32_t row_bytes = win->kernel_w * p->input_c, depth = win->kernel_h * row_bytes;
    const int32_t groups = (depth + 3) / 4;
    uint32_t *columns = scratch;
    const source s = {
        .window = (int8_t *)(columns + 4 * groups),
        .rows = win->kernel_h,
        .row_bytes = row_bytes,
        .image_row_bytes = win->input_w * p->input_c,
        .last_x = win->input_w - win->kernel_w,
        .middle = row_bytes < 8 ? 0 : 4,
        .has_whole_words = row_bytes % 4 == 0,
    };
    /* Bytes after the window meet weights of zero; they need only be defined. */
    memset(s.window + depth, 0, (size_t)(4 * groups - depth));
    const int32_t pixels = win->output_h * win->output_w;
    tile where = {(groups + 7) / 8, (-groups & 7) * GROUP_BYTES, p->output_c, p->output_c};
    int8_t *to = output;
    int32_t pixel = 0;
    for (int32_t oy = 0; oy < win->output_h; oy++) {
        const int32_t y = oy * win->stride_h - win->pad_h;
        const bool has_all_rows = y >= 0 && y + win->kernel_h <= win->input_h;
        int32_t x = -(int32_t)win->pad_w;
        for (int32_t ox = 0; ox < win->output_w; ox++, x += win->stride_w) {
            uint32_t *column = columns + 2 * (pixel & 1);
            if (has_all_rows && x >= 0 && x <= s.last_x) {
                expand_inside(&s, input + y * s.image_row_bytes + x * p->input_c, column);
            } else {
                tyf_copy_window(p, input, oy, ox, s.window);
                tyf_expand(s.window, groups, column, 4);
            }
            pixel++;
            if ((pixel & 1) == 0 || pixel == pixels) {
                where.step = (pixel & 1) == 0 ? p->output_c : 0;
                compute(columns, stream, to, &where);
                to += 2 * p->output_c;
            }
        }
    }
    tyf_dsp_clamp(output, pixels * p->output_c, p->activation_min, p->activation_max);
}

void tyf_conv2d_s8_dsp(const tyf_conv2d_s8_params *p, const int8_t *input, const uint32_t *stream, void *scratch,
                       int8_t *output) {
    convolve(p, input, stream, two_pixels, scratch, output);
}

void tyf_conv2d_clamped_s8_dsp(const tyf_conv2d_s8_params *p, const int8_t *input, const uint32_t *stream,
                               void *scratch, int8_t *output) {
    convolve(p, input, stream, two_clamped_pixels, scratch, output);
}
