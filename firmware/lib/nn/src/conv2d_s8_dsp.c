/* CONV_2D, int8, for cores with the DSP extension: two pixels by two channels, weights in halves. */
#include <stdbool.h>
#include <stddef.h>

#include "tyf/nn/dsp.h"
#include "tyf/nn/fixed.h"

/* Two output pixels, all channels. */
typedef struct {
    int8_t *first;
    int32_t step;   /* bytes to the second pixel; 0 when there is none: its byte is overwritten */
    int32_t pairs;  /* of channels */
    int32_t groups; /* of four weights in a filter */
} tile;

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

/* tyf_dsp_requantize() of 256 times a sum, in two registers; r3 multiplier, r4 round, r5 shift. */
#define FINISH(first, second)                                                                                          \
    "add r6, r4, " first ", asr #31\n"                                                                                 \
    "add r7, r4, " second ", asr #31\n"                                                                                \
    "asr " first ", " first ", #7\n"                                                                                   \
    "asr " second ", " second ", #7\n"                                                                                 \
    "smmlar " first ", " first ", r3, r6\n"                                                                            \
    "smmlar " second ", " second ", r3, r7\n"                                                                          \
    "asr " first ", " first ", r5\n"                                                                                   \
    "asr " second ", " second ", r5\n"                                                                                 \
    "ssat " first ", #8, " first "\n"                                                                                  \
    "ssat " second ", #8, " second "\n"

/*
 * columns: for each group of four, two expanded words of each pixel. The loop uses every register, which the compiler
 * cannot be asked for; twelve instructions a group, where it makes twenty.
 */
__attribute__((naked, noinline)) static void two_pixels(const uint32_t *columns, const uint32_t *weights,
                                                        const tyf_dsp_channel *channels, const tile *where) {
    (void)columns;
    (void)weights;
    (void)channels;
    (void)where;
    __asm volatile(
        "push {r4-r11, lr}\n"
        "sub sp, #20\n"
        "strd r0, r2, [sp, #0]\n"
        "ldm r3, {r4-r7}\n"
        "mov r12, r4\n"
        "str r5, [sp, #16]\n"
        "strd r6, r7, [sp, #8]\n" /* sp: columns, channel, pairs left, groups, step */
        "1:\n"
        "ldrd r0, r2, [sp, #0]\n"
        "ldr lr, [sp, #12]\n"
        "ldr r8, [r2, #0]\n"
        "ldr r9, [r2, #16]\n"
        "mov r10, r8\n"
        "mov r11, r9\n"
        "subs lr, #4\n"
        "blt 3f\n"
        "2:\n" GROUP GROUP GROUP GROUP "subs lr, #4\n"
        "bge 2b\n"
        "3:\n"
        "adds lr, #4\n"
        "beq 5f\n"
        "4:\n" GROUP "subs lr, #1\n"
        "bne 4b\n"
        "5:\n"
        "ldr r2, [sp, #4]\n"
        "ldr lr, [sp, #16]\n"
        "ldrd r3, r4, [r2, #4]\n"
        "ldr r5, [r2, #12]\n" FINISH("r8", "r10") "strb r10, [r12, lr]\n"
                                                  "strb r8, [r12], #1\n"
                                                  "ldrd r3, r4, [r2, #20]\n"
                                                  "ldr r5, [r2, #28]\n" FINISH("r9", "r11") "strb r11, [r12, lr]\n"
                                                                                            "strb r9, [r12], #1\n"
                                                                                            "add r2, #32\n"
                                                                                            "ldr lr, [sp, #8]\n"
                                                                                            "subs lr, #1\n"
                                                                                            "strd r2, lr, [sp, #4]\n"
                                                                                            "bne 1b\n"
                                                                                            "add sp, #20\n"
                                                                                            "pop {r4-r11, pc}\n");
}

void tyf_conv2d_s8_dsp(const tyf_conv2d_s8_params *p, const int8_t *input, const uint32_t *weights,
                       const tyf_dsp_channel *channels, void *scratch, int8_t *output) {
    const tyf_window *win = &p->window;
    const int32_t depth = win->kernel_h * win->kernel_w * p->input_c;
    const int32_t groups = (depth + 3) / 4;
    const int32_t pixels = win->output_h * win->output_w;
    const bool is_direct = win->kernel_h == 1 && win->kernel_w == 1 && depth % 4 == 0;
    uint32_t *columns = scratch;
    int8_t *window = (int8_t *)(columns + 4 * groups);
    /* Bytes after the window meet weights of zero; they need only be defined. */
    memset(window + depth, 0, (size_t)(4 * groups - depth));
    int32_t oy = 0, ox = 0;
    for (int32_t pixel = 0; pixel < pixels; pixel++) {
        const int8_t *source = window;
        if (is_direct) {
            source = input + (oy * win->stride_h * win->input_w + ox * win->stride_w) * p->input_c;
        } else {
            tyf_copy_window(p, input, oy, ox, window);
        }
        tyf_expand(source, groups, columns + 2 * (pixel & 1), 4);
        const bool is_last = pixel == pixels - 1;
        if ((pixel & 1) != 0 || is_last) {
            const int32_t count = (pixel & 1) + 1;
            int8_t *first = output + (pixel - count + 1) * p->output_c;
            const tile where = {first, (count - 1) * p->output_c, p->output_c / 2, groups};
            two_pixels(columns, weights, channels, &where);
        }
        if (++ox == win->output_w) {
            ox = 0;
            oy++;
        }
    }
    tyf_dsp_clamp(output, pixels * p->output_c, p->activation_min, p->activation_max);
}
