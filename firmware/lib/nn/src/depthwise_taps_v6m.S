/*
 * The core of DEPTHWISE_CONV_2D of any window for ARMv6-M: every channel of one output pixel.
 *
 *     void tyf_v6m_depthwise_taps(const tyf_v6m_depthwise_pixel *pixel);
 *
 * taps point to the first channel of each input pixel; weights are [channel][tap]; channels have a knee.
 */
#include "tyf/nn/v6m.inc"

/* Offsets in tyf_v6m_depthwise_pixel. */
#define TAPS 0
#define WEIGHTS 4
#define CHANNELS 8
#define OUTPUT 12
#define TAP_COUNT 16
#define CHANNEL_COUNT 20

/* r0 taps, r1 channel, r2 end of the channel's weights, r3 -taps left, r6 sum, r7 channels;
 * r8 taps, r9 tap count, r10 output, r11 channel count */
    .section .text.tyf_v6m_depthwise_taps, "ax", %progbits
    .global tyf_v6m_depthwise_taps
    .type tyf_v6m_depthwise_taps, %function
    .thumb_func
tyf_v6m_depthwise_taps:
    enter 0
    ldr r2, [r0, #WEIGHTS]
    ldr r7, [r0, #CHANNELS]
    ldr r3, [r0, #OUTPUT]
    mov r10, r3
    ldr r3, [r0, #TAP_COUNT]
    mov r9, r3
    ldr r3, [r0, #CHANNEL_COUNT]
    mov r11, r3
    ldr r3, [r0, #TAPS]
    mov r8, r3
    movs r1, #0
1: /* a channel */
    mov r0, r8
    mov r3, r9
    adds r2, r2, r3
    rsbs r3, r3, #0
    ldm r7!, {r6}
2:
    ldm r0!, {r4}
    ldrsb r4, [r4, r1]
    ldrsb r5, [r2, r3]
    muls r4, r5
    adds r6, r6, r4
    adds r3, #1
    bne 2b
    /* limit, knee, offset below, offset, high, low */
    ldm r7!, {r0, r4}
    cmp r6, r0
    bhs 4f
    cmp r6, r4
    ldm r7!, {r4, r5}
    blo 3f
    movs r4, r5
3:
    mov r12, r4
    ldm r7!, {r4, r5}
    scale r6, r4, r5, r12, r0
    b 5f
4:
    clamp r6, r0
    adds r7, #16
5:
    mov r3, r10
    strb r6, [r3, r1]
    adds r1, #1
    cmp r1, r11
    bne 1b
    leave 0
    .size tyf_v6m_depthwise_taps, . - tyf_v6m_depthwise_taps
