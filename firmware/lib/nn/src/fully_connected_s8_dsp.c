/* FULLY_CONNECTED, int8, for cores with the DSP extension: four units share each load of the input, weights in halves.
 */
#include <stddef.h>

#include "tyf/nn/dsp.h"

/* clang-format off */

/* Sixteen products: 256 times the sums of four weights of four units. */
#define GROUP                                                                                                          \
    "ldm r0!, {r3-r6}\n"                                                                                               \
    "ldrd r7, r12, [r1], #8\n"                                                                                         \
    "smlad r8, r3, r7, r8\n"                                                                                           \
    "sxtb16 r3, r3\n"                                                                                                  \
    "smlad r9, r4, r7, r9\n"                                                                                           \
    "sxtb16 r4, r4\n"                                                                                                  \
    "smlad r10, r5, r7, r10\n"                                                                                         \
    "sxtb16 r5, r5\n"                                                                                                  \
    "smlad r11, r6, r7, r11\n"                                                                                         \
    "sxtb16 r6, r6\n"                                                                                                  \
    "smlad r8, r3, r12, r8\n"                                                                                          \
    "smlad r9, r4, r12, r9\n"                                                                                          \
    "smlad r10, r5, r12, r10\n"                                                                                        \
    "smlad r11, r6, r12, r11\n"

/* tyf_dsp_requantize_doubled() of 256 times a sum, and its byte; r2 next channel, lr output. */
#define FINISH(sum)                                                                                                    \
    "ldm r2!, {r3-r6}\n"                                                                                               \
    "add r5, r5, " sum ", asr #31\n"                                                                                   \
    "asr " sum ", " sum ", #7\n"                                                                                       \
    "smmlar " sum ", " sum ", r4, r5\n"                                                                                \
    "asr " sum ", " sum ", r6\n"                                                                                       \
    "ssat " sum ", #8, " sum "\n"                                                                                      \
    "strb " sum ", [lr], #1\n"

typedef struct {
    int32_t blocks; /* of four units */
    int32_t groups; /* of four weights in a unit */
    int8_t *output;
} block_range;

/*
 * x: two expanded words for each group of four. The loop uses every register, which the compiler cannot be asked for;
 * fourteen instructions a group, where it makes twenty-six.
 */
__attribute__((naked, noinline)) static void four_units(const uint32_t *weights, const uint32_t *x,
                                                        const tyf_dsp_channel *channels, const block_range *range) {
    (void)weights;
    (void)x;
    (void)channels;
    (void)range;
    __asm volatile(
        "push {r4-r11, lr}\n"
        "sub sp, #16\n"
        "ldm r3, {r3-r5}\n"
        "strd r1, r3, [sp, #0]\n" /* x, blocks left */
        "strd r4, r5, [sp, #8]\n" /* groups, output */
        "1:\n"
        "ldr r1, [sp, #0]\n"
        "ldr lr, [sp, #8]\n"
        "ldr r8, [r2, #0]\n"
        "ldr r9, [r2, #16]\n"
        "ldr r10, [r2, #32]\n"
        "ldr r11, [r2, #48]\n"
        "subs lr, #4\n"
        "blt 3f\n"
        "2:\n"
        GROUP GROUP GROUP GROUP
        "subs lr, #4\n"
        "bge 2b\n"
        "3:\n"
        "adds lr, #4\n"
        "beq 5f\n"
        "4:\n"
        GROUP
        "subs lr, #1\n"
        "bne 4b\n"
        "5:\n"
        "ldr lr, [sp, #12]\n"
        FINISH("r8") FINISH("r9") FINISH("r10") FINISH("r11")
        "ldr r3, [sp, #4]\n"
        "str lr, [sp, #12]\n"
        "subs r3, #1\n"
        "str r3, [sp, #4]\n"
        "bne 1b\n"
        "add sp, #16\n"
        "pop {r4-r11, pc}\n");
}

/* clang-format on */

void tyf_fully_connected_s8_dsp(const tyf_fully_connected_s8_params *p, const int8_t *input, const uint32_t *weights,
                                const tyf_dsp_channel *channels, void *scratch, int8_t *output) {
    const int32_t groups = (p->depth + 3) / 4;
    const int32_t whole = p->depth / 4;
    const int32_t blocks = p->units / 4, left = p->units % 4;
    uint32_t *x = scratch;
    int8_t *to = output;
    for (int32_t row = 0; row < p->rows; row++) {
        tyf_expand(input, whole, x, 2);
        if (whole != groups) {
            int8_t rest[4] = {0, 0, 0, 0}; /* meets weights of zero */
            memcpy(rest, input + 4 * whole, (size_t)(p->depth - 4 * whole));
            tyf_expand(rest, 1, x + 2 * whole, 2);
        }
        if (blocks != 0) {
            const block_range range = {blocks, groups, to};
            four_units(weights, x, channels, &range);
        }
        if (left != 0) {
            int8_t last[4];
            const block_range range = {1, groups, last};
            four_units(weights + (size_t)(blocks * groups) * 4, x, channels + 4 * blocks, &range);
            memcpy(to + 4 * blocks, last, (size_t)left);
        }
        input += p->depth;
        to += p->units;
    }
    tyf_dsp_clamp(output, p->rows * p->units, p->activation_min, p->activation_max);
}
