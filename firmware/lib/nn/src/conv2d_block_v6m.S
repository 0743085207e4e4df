/*
 * The core of CONV_2D for ARMv6-M: all filters at four output pixels, two products per multiplication.
 *
 *     tyf_v6m_conv_block(const tyf_v6m_block *block);        no channel has a knee
 *     tyf_v6m_conv_block_knee(const tyf_v6m_block *block);
 *
 * Columns hold two words for each k: a0 + 65536 * a1 and a2 + 65536 * a3, of four pixels. Weights of eight filters
 * alternate byte by byte, so that one pointer, which LDM moves by eight, also steps through the weights of a filter.
 *
 * A group of products is collected in 16-bit lanes: the sum of its |weights| is at most 255. Then the packed word is
 * added to a low sum modulo 2^32, and its upper half, rounded by the carry that ASR leaves, to a high sum. The high sum is
 * exact; the low one is corrected once, at the end. The schedule holds for each group the distance to jump into a chain
 * of steps; the last group of a filter jumps into a second copy of the chain, which ends the filter.
 */
#include "tyf/nn/v6m.inc"

/* TYF_V6M_CHAIN of kernels_v6m.h: steps of a chain that may be skipped. */
#define CHAIN 8

/* Offsets in tyf_v6m_block. */
#define COLUMNS 0
#define WEIGHTS 4
#define SCHEDULE 8
#define CHANNELS 12
#define OUTPUT 16
#define PIXEL_STEP 20
#define WEIGHTS_STEP 24
#define WEIGHTS_END 28

/* r0 columns, r1 weights - columns, r2 schedule, r6 and r7 high sums, r8 and r9 the group, r10 and r11 low sums,
 * r12 channels, lr output - r1 */
.macro product
    ldrsb r3, [r0, r1]
    ldm r0!, {r4, r5}
    muls r4, r3
    muls r5, r3
.endm

.macro step
    product
    add r8, r4
    add r9, r5
.endm

.macro drain
    product
    add r4, r8
    add r5, r9
    add r10, r4
    add r11, r5
    asrs r4, r4, #16
    adcs r6, r4
    asrs r5, r5, #16
    adcs r7, r5
.endm

/* One shifted sum to its place in the output, r3 or r3 + r4; clamped ones leave the straight line. */
.macro finish value, pixel, knee, beside
    cmp \value, r8
    bhs 40\pixel\()f
.ifnb \knee
    cmp \value, r11
    blo 50\pixel\()f
.endif
    scale \value, r1, r2, r9, r0
30\pixel:
.ifnb \beside
    strb \value, [r3, r4]
.else
    strb \value, [r3]
.endif
.endm

.macro finish_clamped value, pixel, knee
40\pixel:
    clamp \value, r0
    b 30\pixel\()b
.ifnb \knee
50\pixel:
    scale \value, r1, r2, r12, r0
    b 30\pixel\()b
.endif
.endm

.macro block name, knee
    .section .text.\name, "ax", %progbits
    .global \name
    .type \name, %function
    .thumb_func
\name:
    enter 24
    /* on the stack: columns, pixel step, weights step, end of the weights, channels */
    ldr r1, [r0, #COLUMNS]
    str r1, [sp, #0]
    ldr r2, [r0, #PIXEL_STEP]
    str r2, [sp, #4]
    ldr r2, [r0, #WEIGHTS_STEP]
    str r2, [sp, #8]
    ldr r2, [r0, #WEIGHTS_END]
    subs r2, r2, r1
    str r2, [sp, #12]
    ldr r2, [r0, #CHANNELS]
    mov r12, r2
    ldr r3, [r0, #WEIGHTS]
    subs r1, r3, r1
    ldr r2, [r0, #OUTPUT]
    subs r2, r2, r1
    mov lr, r2
    ldr r2, [r0, #SCHEDULE]

10: /* a filter */
    mov r3, r12
    ldm r3!, {r6}
    mov r12, r3
    lsls r3, r6, #16
    adds r3, r3, r6
    mov r10, r3
    mov r11, r3
    mov r7, r6
    ldr r0, [sp, #0]
20: /* a group */
    product
    mov r8, r4
    mov r9, r5
    ldrb r3, [r2]
    adds r2, #1
    add pc, r3
    nop
.rept CHAIN
    step
.endr
    drain
    b 20b
.rept CHAIN
    step
.endr
    drain

    /* Sums of pixels 0 to 3 into r4, r6, r5, r7; the output's address to r3. */
    push {r1, r2}
    mov r3, lr
    adds r3, r3, r1
    mov r4, r10
    lsls r0, r6, #16
    subs r4, r4, r0
    mov r5, r11
    lsls r0, r7, #16
    subs r5, r5, r0
    mov r0, r12
.ifnb \knee
    ldm r0!, {r1, r2}
    mov r8, r1
    mov r11, r2
    ldm r0!, {r1, r2}
    mov r12, r1
    mov r9, r2
    ldm r0!, {r1, r2}
    str r0, [sp, #8 + 16]
.else
    ldm r0!, {r1, r2}
    mov r8, r1
    mov r9, r2
    ldm r0!, {r1, r2}
    mov r12, r0
.endif
    finish r4, 0, \knee
    ldr r4, [sp, #8 + 4]
    finish r6, 1, \knee, beside
    adds r3, r3, r4
    adds r3, r3, r4
    finish r5, 2, \knee
    finish r7, 3, \knee, beside
.ifnb \knee
    ldr r3, [sp, #8 + 16]
    mov r12, r3
.endif
    pop {r1, r2}
    adds r1, #1
    lsls r3, r1, #29
    beq 60f
    b 10b
60: /* eight filters done */
    ldr r3, [sp, #12]
    cmp r1, r3
    beq 70f
    ldr r3, [sp, #8]
    adds r1, r1, r3
    mov r4, lr
    subs r4, r4, r3
    mov lr, r4
    b 10b
    finish_clamped r4, 0, \knee
    finish_clamped r6, 1, \knee
    finish_clamped r5, 2, \knee
    finish_clamped r7, 3, \knee
70:
    leave 24
    .size \name, . - \name
.endm

    block tyf_v6m_conv_block
    block tyf_v6m_conv_block_knee, knee

/* Pack r2 bytes of four pixels, from r0, r3, r4 and r5, into columns at r1, which moves behind them. */
.macro pack_pixels
    adds r6, r0, r2
    mov r12, r6 /* end of the first pixel */
    subs r3, r3, r0
    subs r4, r4, r0
    subs r5, r5, r0
    rsbs r7, r2, #0
    movs r2, #3
    ands r7, r2
    /* Skip the first 0 to 3 of four steps, 22 bytes each. */
    lsls r6, r7, #3
    subs r1, r1, r6
    movs r6, #22
    muls r6, r7
    movs r2, #0
    add pc, r6
    nop
1:
.irp at, 0, 8, 16, 24
    ldrsb r6, [r0, r2]
    ldrsb r7, [r0, r3]
    lsls r7, r7, #16
    adds r6, r6, r7
    str r6, [r1, #\at]
    ldrsb r6, [r0, r4]
    ldrsb r7, [r0, r5]
    lsls r7, r7, #16
    adds r6, r6, r7
    str r6, [r1, #\at + 4]
    adds r0, #1
.endr
    adds r1, #32
    cmp r0, r12
    bne 1b
.endm

/*
 * uint32_t *tyf_v6m_pack(const int8_t *const pixels[4], uint32_t *columns, uint32_t count);
 *
 * Pack `count` (> 0) bytes of four pixels into columns; returns their end.
 */
    .section .text.tyf_v6m_pack, "ax", %progbits
    .global tyf_v6m_pack
    .type tyf_v6m_pack, %function
    .thumb_func
tyf_v6m_pack:
    push {r4-r7, lr}
    movs r6, r0
    ldr r0, [r6, #0]
    ldr r3, [r6, #4]
    ldr r4, [r6, #8]
    ldr r5, [r6, #12]
    pack_pixels
    movs r0, r1
    pop {r4-r7, pc}
    .size tyf_v6m_pack, . - tyf_v6m_pack

/*
 * uint32_t *tyf_v6m_pack_row(const tyf_v6m_row *row, uint32_t *columns);
 *
 * Pack a kernel row of four pixels tap by tap, from `outside` where a tap leaves the image; returns the columns' end.
 */

/* Offsets in tyf_v6m_row. */
#define ROW_PIXELS 0
#define ROW_X 16
#define ROW_OUTSIDE 32
#define ROW_WIDTH 36
#define ROW_STEP_BYTES 40
#define ROW_STEP_X 44
#define ROW_TAPS 48
#define ROW_COUNT 52

/* Where pixel `number` reads its tap, to `to`; r7 row, r9 bytes and r10 columns from the first tap, lr width. */
.macro find_tap to, number
    ldr r6, [r7, #ROW_X + 4 * \number]
    add r6, r10
    cmp r6, lr
    ldr \to, [r7, #ROW_OUTSIDE]
    bhs 2f
    ldr \to, [r7, #ROW_PIXELS + 4 * \number]
    add \to, r9
2:
.endm

    .section .text.tyf_v6m_pack_row, "ax", %progbits
    .global tyf_v6m_pack_row
    .type tyf_v6m_pack_row, %function
    .thumb_func
tyf_v6m_pack_row:
    enter 0
    mov r8, r0
    ldr r2, [r0, #ROW_WIDTH]
    mov lr, r2
    ldr r2, [r0, #ROW_TAPS]
    mov r11, r2
    movs r2, #0
    mov r9, r2
    mov r10, r2
3: /* a tap */
    mov r7, r8
    find_tap r0, 0
    find_tap r3, 1
    find_tap r4, 2
    find_tap r5, 3
    ldr r2, [r7, #ROW_COUNT]
    pack_pixels
    mov r7, r8
    ldr r6, [r7, #ROW_STEP_BYTES]
    add r9, r6
    ldr r6, [r7, #ROW_STEP_X]
    add r10, r6
    mov r6, r11
    subs r6, #1
    mov r11, r6
    bne 3b
    movs r0, r1
    leave 0
    .size tyf_v6m_pack_row, . - tyf_v6m_pack_row
