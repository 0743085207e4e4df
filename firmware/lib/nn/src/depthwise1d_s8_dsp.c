/*
 * DEPTHWISE_CONV_2D along one dimension, int8, for cores with the DSP extension. Four channels at a time are copied
 * apart, with zero points around them, so that the inputs of a channel lie side by side; two outputs share each load.
 */
#include <stddef.h>

#include "tyf/nn/dsp.h"

/* In the order in which the assembly copies it to its stack. */
typedef struct {
    int32_t words;       /* of inputs that two outputs read */
    int32_t pixel_bytes; /* from one output to the next */
    int32_t bytes;       /* from the first output to past the last */
} range;

/* clang-format off */

/* An even number of outputs of one channel. */
__attribute__((naked, noinline)) static void pairs(const int8_t *inputs, int8_t *output, const uint32_t *stream,
                                                   const range *where) {
    (void)inputs;
    (void)output;
    (void)stream;
    (void)where;
    __asm volatile(
        "push {r4-r11, lr}\n"
        "sub sp, #32\n"
        "ldm r3, {r4-r6}\n"
        "add r6, r1\n"
        "add r7, r4, r4, lsl #1\n"
        "add r7, r2, r7, lsl #2\n"
        "ldm r7, {r8-r11}\n"
        /* stream, words, pixel bytes, where outputs end, bias, multiplier, round, shift */
        "stm sp, {r2, r4-r6, r8-r11}\n"
        "1:\n"
        "ldrd r2, r12, [sp, #0]\n"
        "ldr r4, [sp, #16]\n"
        "mov r3, r0\n"
        "add r0, #2\n"
        "mov r5, r4\n"
        "2:\n"
        "ldr r6, [r3], #4\n"
        "ldm r2!, {r8-r10}\n"
        "sxtb16 r7, r6, ror #8\n"
        "sxtb16 r6, r6\n"
        "smlad r4, r7, r9, r4\n"
        "smlad r5, r7, r8, r5\n"
        "smlad r4, r6, r8, r4\n"
        "smlad r5, r6, r10, r5\n"
        "subs r12, #1\n"
        "bne 2b\n"
        "ldrd r8, r9, [sp, #20]\n"
        "ldr r10, [sp, #28]\n"
        "ldrd r6, r7, [sp, #8]\n"
        "add r11, r9, r4, asr #31\n"
        "add r12, r9, r5, asr #31\n"
        "smmlar r4, r4, r8, r11\n"
        "smmlar r5, r5, r8, r12\n"
        "asr r4, r4, r10\n"
        "asr r5, r5, r10\n"
        "ssat r4, #8, r4\n"
        "ssat r5, #8, r5\n"
        "strb r4, [r1]\n"
        "strb r5, [r1, r6]\n"
        "add r1, r1, r6, lsl #1\n"
        "cmp r1, r7\n"
        "bne 1b\n"
        "add sp, #32\n"
        "pop {r4-r11, pc}\n");
}

/* clang-format on */

void tyf_depthwise1d_s8_dsp(const tyf_depthwise_conv2d_s8_params *p, const int8_t *input, const uint32_t *stream,
                            void *scratch, int8_t *output) {
    const tyf_window *win = &p->window;
    const int32_t words = TYF_DEPTHWISE1D_DSP_WORDS(win->kernel_h), outputs = win->output_h, channels = p->input_c;
    const int32_t pitch = TYF_DEPTHWISE1D_DSP_SCRATCH_BYTES(outputs, win->kernel_h) / 4;
    const int32_t reached = pitch - win->pad_h;
    const int32_t count = win->input_h < reached ? win->input_h : reached;
    const range all = {words, channels, (outputs & ~1) * channels};
    const range last = {words, channels, 2 * channels};
    int8_t *rows = scratch;
    memset(rows, (int)(uint8_t)(-p->input_offset), (size_t)(4 * pitch));
    for (int32_t c = 0; c < channels; c += 4) {
        tyf_take_apart(input + c, channels, count, pitch, rows + win->pad_h);
        for (int32_t i = 0; i < 4; i++) {
            const int8_t *row = rows + i * pitch;
            int8_t *to = output + c + i;
            pairs(row, to, stream, &all);
            if ((outputs & 1) != 0) {
                pairs(row + outputs - 2, to + (outputs - 2) * channels, stream, &last);
            }
            stream += 3 * words + 4;
        }
    }
    tyf_dsp_clamp(output, outputs * channels, p->activation_min, p->activation_max);
}
