/*
 * The core of DEPTHWISE_CONV_2D of any window for ARMv6-M: every channel of two output pixels.
 *
 *     void tyf_v6m_depthwise_taps(const tyf_v6m_depthwise_pixels *pixels);
 *
 * taps are pairs of pointers to the first channel of an input pixel, one for each output pixel; weights are [channel][tap];
 * channels have a knee.
 */
#include "tyf/nn/v6m.inc"

/* Offsets in tyf_v6m_depthwise_pixels. */
#define TAPS 0
#define WEIGHTS 4
#define CHANNELS 8
#define OUTPUT 12
#define TAP_COUNT 16
#define CHANNEL_COUNT 20
#define OUTPUT_STEP 24

/* The frame. */
#define F_TAPS 0
#define F_TAP_COUNT 4
#define F_OUTPUT 8
#define F_OUTPUT_STEP 12
#define F_CHANNEL_COUNT 16
#define F_BYTES 20

/* The sum in `sum` to r0 as int8; r3 high, r4 low, lr limit, r8 knee, r9 and r10 offsets below and from the knee on. */
.macro finish sum, number
    mov r0, \sum
    cmp r0, lr
    bhs 40\number\()f
    cmp r0, r8
    blo 50\number\()f
    scale r0, r3, r4, r10, r7
30\number:
.endm

.macro finish_aside number
40\number:
    clamp r0, r7
    b 30\number\()b
50\number:
    scale r0, r3, r4, r9, r7
    b 30\number\()b
.endm

/* r0 taps, r1 channel, r2 end of the channel's weights, r3 -taps left, r6 channels, r11 and r12 sums */
    .section .text.tyf_v6m_depthwise_taps, "ax", %progbits
    .global tyf_v6m_depthwise_taps
    .type tyf_v6m_depthwise_taps, %function
    .thumb_func
tyf_v6m_depthwise_taps:
    enter F_BYTES
    ldr r2, [r0, #WEIGHTS]
    ldr r6, [r0, #CHANNELS]
    ldr r3, [r0, #TAPS]
    str r3, [sp, #F_TAPS]
    ldr r3, [r0, #TAP_COUNT]
    str r3, [sp, #F_TAP_COUNT]
    ldr r3, [r0, #OUTPUT]
    str r3, [sp, #F_OUTPUT]
    ldr r3, [r0, #OUTPUT_STEP]
    str r3, [sp, #F_OUTPUT_STEP]
    ldr r3, [r0, #CHANNEL_COUNT]
    str r3, [sp, #F_CHANNEL_COUNT]
    movs r1, #0
1: /* a channel */
    ldr r0, [sp, #F_TAPS]
    ldr r3, [sp, #F_TAP_COUNT]
    adds r2, r2, r3
    rsbs r3, r3, #0
    ldm r6!, {r4}
    mov r11, r4
    mov r12, r4
2:
    ldm r0!, {r4, r5}
    ldrsb r4, [r4, r1]
    ldrsb r5, [r5, r1]
    ldrsb r7, [r2, r3]
    muls r4, r7
    muls r5, r7
    add r11, r4
    add r12, r5
    adds r3, #1
    bne 2b
    ldm r6!, {r0, r3, r4, r5}
    mov lr, r0
    mov r8, r3
    mov r9, r4
    mov r10, r5
    ldm r6!, {r3, r4}
    ldr r5, [sp, #F_OUTPUT]
    adds r5, r5, r1
    finish r11, 0
    strb r0, [r5]
    finish r12, 1
    ldr r7, [sp, #F_OUTPUT_STEP]
    strb r0, [r5, r7]
    adds r1, #1
    ldr r0, [sp, #F_CHANNEL_COUNT]
    cmp r1, r0
    bne 1b
    leave F_BYTES
    finish_aside 0
    finish_aside 1
    .size tyf_v6m_depthwise_taps, . - tyf_v6m_depthwise_taps
