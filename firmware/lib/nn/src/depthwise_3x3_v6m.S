/*
 * The core of DEPTHWISE_CONV_2D 3x3 for ARMv6-M, one channel after the other, two neighbouring outputs at a time.
 *
 *     tyf_v6m_depthwise_3x3(const tyf_v6m_depthwise *work);       stride 1
 *     tyf_v6m_depthwise_3x3_s2(const tyf_v6m_depthwise *work);    stride 2
 *
 * Three input rows of the channel are kept as pairs of pixels in words, in a ring of three slots that alternate in memory,
 * so that one pointer reaches all of them; a new row takes the place of the oldest, and the weights move instead. What is a
 * row is the caller's choice: the columns of an image that is higher than wide will do.
 *
 * Stride 1: (a1 + 65536 * a0) * (w0 + 65536 * w1) has a1 * w0 in its low half and a1 * w1 + a0 * w0 in its high half,
 * three products that two neighbouring outputs need; (a2 + 65536 * a3) * (w2 + 65536 * w1) has the other three of a row.
 * Stride 2: a word holds the pixels of both outputs. Halves are summed as in conv2d_block_v6m.S; no two products leave
 * 16 bits, for |weights| <= 127.
 *
 * A channel's record: three words of weights (bytes w0, w2, halfword w1), start, high, low, offset, limit.
 */
#include "tyf/nn/v6m.inc"

/* Offsets in tyf_v6m_depthwise; the frame on the stack begins with a copy of what changes. */
#define INPUT 0
#define OUTPUT 4
#define RECORDS 8
#define RING 12
#define CHANNELS 16
#define ROW_BYTES 20
#define INPUT_H 24
#define PAD_H 28
#define OUTPUT_H 32
#define LEAD 36
#define WHOLE 40
#define REST 44
#define PAIRS_OUT 48
#define ODD 52
#define PAD_WORD 56
#define PAIRS 60
#define PIXEL_STEP 64
#define OUTPUT_ROW_BYTES 68

/* The frame: what is read in one LDM comes first. */
#define F_START 0
#define F_SCALE 16
#define F_STEP 32
#define F_END 36
#define F_PENDING 40
#define F_WORK 44
#define F_RECORD 48
#define F_INPUT 52
#define F_OUTPUT 56
#define F_ROW 60
#define F_SLOT 64
#define F_Y 68
#define F_FILL 72
#define F_LEFT 76
#define F_OUT 80
#define F_CHANNELS 84
#define F_WHOLE_END 88
#define F_WEIGHTS 92
#define F_ROTATION 152
#define F_LAST_WEIGHTS 156
#define F_BYTES 168

/* Start of a kernel: r0 work. */
.macro begin
    enter F_BYTES
    str r0, [sp, #F_WORK]
    ldr r1, [r0, #INPUT]
    str r1, [sp, #F_INPUT]
    ldr r1, [r0, #OUTPUT]
    str r1, [sp, #F_OUTPUT]
    ldr r1, [r0, #RECORDS]
    str r1, [sp, #F_RECORD]
    ldr r1, [r0, #CHANNELS]
    str r1, [sp, #F_CHANNELS]
    ldr r1, [r0, #PIXEL_STEP]
    str r1, [sp, #F_STEP]
.endm

/* After a record's weights, r0 behind them: start words from the registers given, scaling to the frame. */
.macro load_scaling low
    ldm r0!, {r1}
    lsls r2, r1, #16
.ifnb \low
    adds r2, r2, r1
    str r2, [sp, #F_START]
    str r1, [sp, #F_START + 4]
.else
    str r2, [sp, #F_START]
    str r2, [sp, #F_START + 4]
    str r1, [sp, #F_START + 8]
    str r1, [sp, #F_START + 12]
.endif
    ldm r0!, {r1-r4}
    add r5, sp, #F_SCALE
    stm r5!, {r1-r4}
    str r0, [sp, #F_RECORD]
.endm

/* Before the first row of a channel. */
.macro begin_channel
    ldr r5, [sp, #F_WORK]
    ldr r0, [sp, #F_INPUT]
    str r0, [sp, #F_ROW]
    adds r0, #1
    str r0, [sp, #F_INPUT]
    ldr r0, [sp, #F_OUTPUT]
    str r0, [sp, #F_OUT]
    adds r0, #1
    str r0, [sp, #F_OUTPUT]
    ldr r0, [r5, #RING]
    str r0, [sp, #F_SLOT]
    ldr r0, [r5, #PAD_H]
    rsbs r0, r0, #0
    str r0, [sp, #F_Y]
    ldr r0, [r5, #OUTPUT_H]
    str r0, [sp, #F_LEFT]
    movs r0, #3
    str r0, [sp, #F_FILL]
.endm

/* To `outside` when the next input row is above or below the image; else its address to r0 and step on. r5 work. */
.macro next_row outside
    ldr r5, [sp, #F_WORK]
    ldr r1, [sp, #F_SLOT]
    ldr r0, [sp, #F_Y]
    adds r2, r0, #1
    str r2, [sp, #F_Y]
    ldr r2, [r5, #INPUT_H]
    cmp r0, r2
    bhs \outside
    ldr r0, [sp, #F_ROW]
    ldr r2, [r5, #ROW_BYTES]
    adds r2, r2, r0
    str r2, [sp, #F_ROW]
.endm

/* A row is filled: the next slot, `bytes` apart; then back to `again` as often as F_FILL says. */
.macro row_filled again, bytes
    ldr r5, [sp, #F_WORK]
    ldr r0, [r5, #RING]
    ldr r1, [sp, #F_SLOT]
    adds r1, #\bytes
    movs r2, r0
    adds r2, #3 * \bytes
    cmp r1, r2
    bne 1f
    movs r1, r0
1:
    str r1, [sp, #F_SLOT]
    ldr r2, [sp, #F_FILL]
    subs r2, #1
    str r2, [sp, #F_FILL]
    beq 1f
    b \again
1:
.endm

/* r0 ring, r5 work: the end of the pairs that are stored whole, where output begins. */
.macro begin_outputs pair_bytes
    ldr r1, [r5, #PAIRS_OUT]
    movs r2, #\pair_bytes
    muls r1, r2
    adds r1, r1, r0
    str r1, [sp, #F_END]
    ldr r1, [r5, #ODD]
    str r1, [sp, #F_PENDING]
    ldr r7, [sp, #F_OUT]
.endm

/* Two shifted sums to the output at r7; r1 high, r2 low, r3 offset, r4 limit. */
.macro store_two first, second
    cmp \first, r4
    bhs 41f
    cmp \second, r4
    bhs 42f
    scale \first, r1, r2, r3, r4
    scale \second, r1, r2, r3, r4
40:
    ldr r4, [sp, #F_STEP]
    strb \second, [r7, r4] /* a lone last output has step 0 and is stored after what is beside it */
    strb \first, [r7]
    adds r7, r7, r4
    adds r7, r7, r4
.endm

.macro store_two_clamped first, second
41:
    cmp \second, r4
    bhs 43f
    clamp \first, r4
    scale \second, r1, r2, r3, r4
    b 40b
42:
    scale \first, r1, r2, r3, r4
    clamp \second, r4
    b 40b
43:
    clamp \first, r4
    clamp \second, r4
    b 40b
.endm

/* After a pair, and before the first one at 35: the next at `again`, the lone last output, or on. */
.macro next_pair again, pair_bytes
    adds r0, #\pair_bytes
35:
    ldr r4, [sp, #F_END]
    cmp r0, r4
    bne \again
    ldr r4, [sp, #F_PENDING]
    cmp r4, #0
    beq 36f
    movs r4, #0
    str r4, [sp, #F_PENDING]
    str r4, [sp, #F_STEP]
    movs r4, r0
    adds r4, #\pair_bytes
    str r4, [sp, #F_END]
    b \again
.endm

.macro end_outputs
36:
    ldr r5, [sp, #F_WORK]
    ldr r4, [r5, #PIXEL_STEP]
    str r4, [sp, #F_STEP]
    ldr r3, [sp, #F_OUT]
    ldr r4, [r5, #OUTPUT_ROW_BYTES]
    adds r3, r3, r4
    str r3, [sp, #F_OUT]
.endm

/* The next output row at `again` after `fill` new input rows, the next channel, or the end. */
.macro next_outputs again, channel, fill
    movs r0, #\fill
    str r0, [sp, #F_FILL]
    ldr r0, [sp, #F_LEFT]
    subs r0, #1
    str r0, [sp, #F_LEFT]
    beq 1f
    b \again
1:
    ldr r0, [sp, #F_CHANNELS]
    subs r0, #1
    str r0, [sp, #F_CHANNELS]
    beq 1f
    b \channel
1:
    leave F_BYTES
.endm

/* ---- stride 1 ---- */

/* A row's weights from `word` to (w0 + 65536 * w1) and (w2 + 65536 * w1). */
.macro unpack_row word, left, right
    sxtb r4, \word
    lsrs r5, \word, #8
    sxtb r5, r5
    lsrs \word, \word, #16
    lsls \word, \word, #16
    adds r4, r4, \word
    adds r5, r5, \word
    mov \left, r4
    mov \right, r5
.endm

.macro row_products slot, left, right
    ldr r4, [r0, #8 * \slot]
    mov r3, \left
    muls r3, r4
    adds r1, r1, r3
    asrs r3, r3, #16
    adcs r5, r3
    ldr r4, [r0, #8 * \slot + 28]
    mov r3, \right
    muls r3, r4
    adds r2, r2, r3
    asrs r3, r3, #16
    adcs r6, r3
.endm

/* Pixels `left` (lost) and `right` as two words to r1, which moves to the slot's next pair; `word` is lost. */
.macro store_pixels left, right, word
    lsls \word, \right, #16
    adds \word, \word, \left
    lsls \left, \left, #16
    adds \left, \left, \right
    str \left, [r1, #0]
    str \word, [r1, #4]
    adds r1, #24
.endm

    .section .text.tyf_v6m_depthwise_3x3, "ax", %progbits
    .global tyf_v6m_depthwise_3x3
    .type tyf_v6m_depthwise_3x3, %function
    .thumb_func
tyf_v6m_depthwise_3x3:
    begin
    /* Pairs that no pixel reaches stay what they are now. */
    ldr r1, [r0, #RING]
    ldr r2, [r0, #PAIRS]
    movs r3, #6
    muls r2, r3
    ldr r3, [r0, #PAD_WORD]
1:
    stm r1!, {r3}
    subs r2, #1
    bne 1b

10: /* a channel */
    ldr r0, [sp, #F_RECORD]
    ldm r0!, {r1-r3}
    unpack_row r1, r8, r9
    unpack_row r2, r10, r11
    unpack_row r3, r12, lr
    load_scaling
    begin_channel

20: /* an input row */
    next_row 25f
    ldr r2, [sp, #F_STEP]
    lsls r3, r2, #1
    subs r0, r0, r2
    ldr r4, [r5, #LEAD]
    cmp r4, #0
    beq 21f
    ldr r4, [r5, #PAD_WORD]
    sxth r4, r4
    ldrsb r5, [r0, r2]
    adds r0, r0, r2
    store_pixels r4, r5, r6
    ldr r5, [sp, #F_WORK]
21:
    ldr r7, [r5, #WHOLE]
    movs r6, #24
    muls r7, r6
    beq 23f
    adds r7, r7, r1
22:
    ldrsb r4, [r0, r2]
    ldrsb r5, [r0, r3]
    store_pixels r4, r5, r6
    adds r0, r0, r3
    cmp r1, r7
    bne 22b
    ldr r5, [sp, #F_WORK]
23:
    ldr r4, [r5, #REST]
    cmp r4, #0
    beq 27f
    ldrsb r4, [r0, r2]
    ldr r5, [r5, #PAD_WORD]
    sxth r5, r5
    store_pixels r4, r5, r6
    b 27f
25: /* outside */
    ldr r2, [r5, #PAIRS]
    ldr r3, [r5, #PAD_WORD]
26:
    str r3, [r1, #0]
    str r3, [r1, #4]
    adds r1, #24
    subs r2, #1
    bne 26b
27:
    row_filled 20b, 8

    begin_outputs 24
    b 35f
30: /* two outputs */
    mov r3, sp
    ldm r3!, {r1, r2, r5, r6}
    row_products 0, r8, r9
    row_products 1, r10, r11
    row_products 2, r12, lr
    lsls r3, r6, #16
    subs r2, r2, r3
    lsls r3, r5, #16
    subs r1, r1, r3
    adds r5, r5, r2
    adds r6, r6, r1
    add r4, sp, #F_SCALE
    ldm r4, {r1-r4}
    store_two r5, r6
    next_pair 30b, 24
    store_two_clamped r5, r6
    end_outputs
    /* The next row goes to the next slot. */
    mov r3, r12
    mov r4, lr
    mov r12, r10
    mov lr, r11
    mov r10, r8
    mov r11, r9
    mov r8, r3
    mov r9, r4
    next_outputs 20b, 10b, 1
    .size tyf_v6m_depthwise_3x3, . - tyf_v6m_depthwise_3x3

/* ---- stride 2 ---- */

/* A row's weights from `word` to three words of the frame. */
.macro unpack_taps word, at
    sxtb r4, \word
    asrs r5, \word, #16
    lsrs \word, \word, #8
    sxtb r6, \word
    add r7, sp, #\at
    stm r7!, {r4-r6}
.endm

/* The product of a tap to `to`, its weight in `weight` or, if given, at `at` in the frame. */
.macro tap to, offset, weight, at
    ldr r4, [r0, #\offset]
.ifnb \at
    ldr \to, [sp, #\at]
.else
    mov \to, \weight
.endif
    muls \to, r4
.endm

/* r3 to the sums. */
.macro add_pair
    adds r1, r1, r3
    asrs r3, r3, #16
    adcs r5, r3
.endm

    .section .text.tyf_v6m_depthwise_3x3_s2, "ax", %progbits
    .global tyf_v6m_depthwise_3x3_s2
    .type tyf_v6m_depthwise_3x3_s2, %function
    .thumb_func
tyf_v6m_depthwise_3x3_s2:
    begin

10: /* a channel */
    ldr r0, [sp, #F_RECORD]
    ldm r0!, {r1-r3}
    unpack_taps r1, F_WEIGHTS
    add r7, sp, #F_WEIGHTS + 36
    stm r7!, {r4-r6}
    unpack_taps r2, F_WEIGHTS + 12
    add r7, sp, #F_WEIGHTS + 48
    stm r7!, {r4-r6}
    unpack_taps r3, F_WEIGHTS + 24
    load_scaling low
    begin_channel
    movs r0, #0
    str r0, [sp, #F_ROTATION]

20: /* an input row; r4 is the pixel before the next step */
    next_row 25f
    ldr r2, [sp, #F_STEP]
    lsls r3, r2, #1
    ldr r4, [r5, #LEAD]
    cmp r4, #0
    beq 21f
    subs r0, r0, r2
    ldr r4, [r5, #PAD_WORD]
    sxth r4, r4
    b 22f
21:
    ldrsb r4, [r0, r4]
22:
    ldr r7, [r5, #WHOLE]
    movs r6, #36
    muls r7, r6
    beq 24f
    adds r7, r7, r1
    str r7, [sp, #F_WHOLE_END]
23: /* four pixels */
    ldrsb r5, [r0, r2]
    ldrsb r6, [r0, r3]
    adds r0, r0, r3
    lsls r7, r6, #16
    adds r4, r4, r7
    str r4, [r1, #0]
    ldrsb r7, [r0, r2]
    lsls r7, r7, #16
    adds r5, r5, r7
    str r5, [r1, #4]
    ldrsb r4, [r0, r3]
    adds r0, r0, r3
    lsls r7, r4, #16
    adds r6, r6, r7
    str r6, [r1, #8]
    adds r1, #36
    ldr r7, [sp, #F_WHOLE_END]
    cmp r1, r7
    bne 23b
    ldr r5, [sp, #F_WORK]
24: /* REST - 1 pixels and padding */
    ldr r7, [r5, #REST]
    cmp r7, #0
    beq 29f
    ldr r6, [r5, #PAD_WORD]
    sxth r6, r6
    mov r8, r6
    movs r5, r6
    cmp r7, #2
    blo 26f
    ldrsb r5, [r0, r2]
    cmp r7, #3
    blo 26f
    ldrsb r6, [r0, r3]
26:
    adds r0, r0, r3
    mov r3, r8
    cmp r7, #4
    blo 27f
    ldrsb r3, [r0, r2]
27:
    lsls r7, r6, #16
    adds r4, r4, r7
    str r4, [r1, #0]
    lsls r3, r3, #16
    adds r5, r5, r3
    str r5, [r1, #4]
    mov r3, r8
    lsls r3, r3, #16
    adds r6, r6, r3
    str r6, [r1, #8]
    b 29f
25: /* outside */
    ldr r2, [r5, #PAIRS]
    ldr r3, [r5, #PAD_WORD]
28:
    str r3, [r1, #0]
    str r3, [r1, #4]
    str r3, [r1, #8]
    adds r1, #36
    subs r2, #1
    bne 28b
29:
    row_filled 20b, 12

    begin_outputs 36
    /* Weights in the order of the slots. */
    ldr r2, [sp, #F_ROTATION]
    add r6, sp, #F_WEIGHTS
    adds r6, r6, r2
    adds r2, #12
    cmp r2, #36
    bne 1f
    movs r2, #0
1:
    str r2, [sp, #F_ROTATION]
    ldm r6!, {r1-r5}
    mov r8, r1
    mov r9, r2
    mov r10, r3
    mov r11, r4
    mov r12, r5
    ldm r6!, {r1-r4}
    mov lr, r1
    add r6, sp, #F_LAST_WEIGHTS
    stm r6!, {r2-r4}
    b 35f
30: /* two outputs */
    mov r3, sp
    ldm r3!, {r1, r5}
    tap r3, 0, r8
    tap r6, 4, r9
    adds r3, r3, r6
    add_pair
    tap r3, 8, r10
    tap r6, 12, r11
    adds r3, r3, r6
    add_pair
    tap r3, 16, r12
    tap r6, 20, lr
    adds r3, r3, r6
    add_pair
    tap r3, 24, , F_LAST_WEIGHTS
    tap r6, 28, , F_LAST_WEIGHTS + 4
    adds r3, r3, r6
    add_pair
    tap r3, 32, , F_LAST_WEIGHTS + 8
    add_pair
    lsls r3, r5, #16
    subs r6, r1, r3
    add r4, sp, #F_SCALE
    ldm r4, {r1-r4}
    store_two r6, r5
    next_pair 30b, 36
    store_two_clamped r6, r5
    end_outputs
    next_outputs 20b, 10b, 2
    .size tyf_v6m_depthwise_3x3_s2, . - tyf_v6m_depthwise_3x3_s2
