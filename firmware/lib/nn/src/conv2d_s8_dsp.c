/* CONV_2D, int8, for cores with the DSP extension: two pixels by two channels, weights in halves. */
#include <stdbool.h>
#include <stddef.h>

#include "tyf/nn/dsp.h"

/* What all pixels share, in the order in which the assembly copies it to its stack. */
typedef struct {
    int32_t groups; /* of four weights in a filter */
    int32_t step;   /* bytes from the first pixel to the second; 0 when there is none: its byte is overwritten */
    int32_t output_c;
} tile;

/* clang-format off */

/* Sixteen products: 256 times the sums of four weights of two channels for two pixels. */
#define GROUP                                                                                                          \
    "ldm r0!, {r2-r5}\n"                                                                                               \
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
        "sub sp, #16\n"                                                                                                \
        "mov r12, r2\n"                                                                                                \
        "ldm r3, {r3-r5}\n"                                                                                            \
        "add r5, r2\n"                                                                                                 \
        "strd r0, r3, [sp, #0]\n" /* columns, groups */                                                                \
        "strd r4, r5, [sp, #8]\n" /* step, where the first pixel ends */                                               \
        "1:\n"                                                                                                         \
        "ldrd r0, lr, [sp, #0]\n"                                                                                      \
        "ldm r1!, {r8, r9}\n"                                                                                          \
        "mov r10, r8\n"                                                                                                \
        "mov r11, r9\n"                                                                                                \
        "subs lr, #4\n"                                                                                                \
        "blt 3f\n"                                                                                                     \
        "2:\n"                                                                                                         \
        GROUP GROUP GROUP GROUP                                                                                        \
        "subs lr, #4\n"                                                                                                \
        "bge 2b\n"                                                                                                     \
        "3:\n"                                                                                                         \
        "adds lr, #4\n"                                                                                                \
        "beq 5f\n"                                                                                                     \
        "4:\n"                                                                                                         \
        GROUP                                                                                                          \
        "subs lr, #1\n"                                                                                                \
        "bne 4b\n"                                                                                                     \
        "5:\n"                                                                                                         \
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
        "add sp, #16\n"                                                                                                \
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

/* Expand the window of output pixel (oy, ox): row by row where it lies, or through `window` where it leaves the image.
 */
static void expand_window(const tyf_conv2d_s8_params *p, const int8_t *input, int32_t oy, int32_t ox, int8_t *window,
                          uint32_t *to) {
    const tyf_window *win = &p->window;
    const int32_t row_bytes = win->kernel_w * p->input_c, depth = win->kernel_h * row_bytes;
    const int32_t y = oy * win->stride_h - win->pad_h, x = ox * win->stride_w - win->pad_w;
    const bool is_inside = x >= 0 && x + win->kernel_w <= win->input_w && y >= 0 && y + win->kernel_h <= win->input_h;
    if (is_inside && row_bytes % 4 == 0) {
        const int8_t *row = input + (y * win->input_w + x) * p->input_c;
        for (int32_t ky = 0; ky < win->kernel_h; ky++) {
            tyf_expand(row, row_bytes / 4, to, 4);
            row += win->input_w * p->input_c;
            to += row_bytes;
        }
    } else {
        tyf_copy_window(p, input, oy, ox, window);
        tyf_expand(window, (depth + 3) / 4, to, 4);
    }
}

void tyf_conv2d_s8_dsp(const tyf_conv2d_s8_params *p, const int8_t *input, const uint32_t *stream, void *scratch,
                       int8_t *output) {
    const tyf_window *win = &p->window;
    const int32_t depth = win->kernel_h * win->kernel_w * p->input_c;
    const int32_t pixels = win->output_h * win->output_w;
    const bool is_clamped = p->output_offset == INT8_MIN;
    tile where = {(depth + 3) / 4, p->output_c, p->output_c};
    uint32_t *columns = scratch;
    int8_t *window = (int8_t *)(columns + 4 * where.groups);
    /* Bytes after the window meet weights of zero; they need only be defined. */
    memset(window + depth, 0, (size_t)(4 * where.groups - depth));
    int32_t oy = 0, ox = 0;
    for (int32_t pixel = 0; pixel < pixels; pixel++) {
        expand_window(p, input, oy, ox, window, columns + 2 * (pixel & 1));
        const bool is_last = pixel == pixels - 1;
        if ((pixel & 1) != 0 || is_last) {
            const int32_t first = pixel & ~1;
            where.step = (pixel - first) * p->output_c;
            (is_clamped ? two_clamped_pixels : two_pixels)(columns, stream, output + first * p->output_c, &where);
        }
        if (++ox == win->output_w) {
            ox = 0;
            oy++;
        }
    }
    tyf_dsp_clamp(output, pixels * p->output_c, p->activation_min, p->activation_max);
}
