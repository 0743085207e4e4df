/*
 * The core of CONV_2D for Helium with windows three columns wide: one row of the output, four pixels by two filters at a
 * time, which share the columns that they have in common.
 *
 *     void tyf_mve_rows_s1(const tyf_mve_rows *rows);         stride 1: six columns for four pixels
 *     void tyf_mve_rows_s1_relu(const tyf_mve_rows *rows);    outputs below the zero point are clamped away
 *     void tyf_mve_rows_s2(const tyf_mve_rows *rows);         stride 2: nine columns
 *     void tyf_mve_rows_s2_relu(const tyf_mve_rows *rows);
 *
 * A segment is one row of the window by 16 channels: 16 bytes a column, one column behind the other. Stream of four
 * filters, 3 2 then 1 0: bias x 4, bias x 4, then per segment three times 16 weights, 16 weights, then multiplier, round,
 * shift of both.
 */
#include "tyf/nn/mve.inc"

/* Offsets in tyf_mve_rows. */
#define SEGMENTS 0
#define COUNT 4
#define STREAM 8
#define STREAM_END 12
#define OUTPUT 16
#define OUTPUT_STEP 20
#define PIXELS 24

/* TYF_MVE_SEGMENTS of kernels_mve.h */
#define SEGMENT_LIMIT 24

/* Our frame. */
#define F_ROWS 0
#define F_STREAM_END 4
#define F_COUNT 8
#define F_PIXELS 12
#define F_OUTPUT 16
#define F_COLUMN 20
#define OFFSETS 24
#define F_SEGMENTS 40
#define FRAME (F_SEGMENTS + 4 * SEGMENT_LIMIT)

/* Two filters at one column of their windows, given for each pixel. */
.macro tap first, second, third, fourth
    vldrw.32 q6, [r1], #16
    vmladava.s8 r0, \first, q6
    vmladava.s8 r2, \second, q6
    vmladava.s8 r4, \third, q6
    vmladava.s8 r6, \fourth, q6
    vldrw.32 q6, [r1], #16
    vmladava.s8 r8, \first, q6
    vmladava.s8 r10, \second, q6
    vmladava.s8 r12, \third, q6
    vmladava.s8 lr, \fourth, q6
.endm

/* One pixel takes the column in q6, both filters: their weights are in first and second. */
.macro column upper, lower, first, second
    vmladava.s8 \upper, q6, \first
    vmladava.s8 \lower, q6, \second
.endm

.macro segment stride
    ldr r3, [r5], #4
.if \stride == 1
    vldrw.32 q0, [r3]
    vldrw.32 q1, [r3, #16]
    vldrw.32 q2, [r3, #32]
    vldrw.32 q3, [r3, #48]
    vldrw.32 q4, [r3, #64]
    vldrw.32 q5, [r3, #80]
    tap q0, q1, q2, q3
    tap q1, q2, q3, q4
    tap q2, q3, q4, q5
.else
    vldrw.32 q0, [r1], #16
    vldrw.32 q1, [r1], #16
    vldrw.32 q2, [r1], #16
    vldrw.32 q3, [r1], #16
    vldrw.32 q4, [r1], #16
    vldrw.32 q5, [r1], #16
    vldrw.32 q6, [r3]
    column r0, r8, q0, q1
    vldrw.32 q6, [r3, #16]
    column r0, r8, q2, q3
    vldrw.32 q6, [r3, #32]
    column r0, r8, q4, q5
    column r2, r10, q0, q1
    vldrw.32 q6, [r3, #48]
    column r2, r10, q2, q3
    vldrw.32 q6, [r3, #64]
    column r2, r10, q4, q5
    column r4, r12, q0, q1
    vldrw.32 q6, [r3, #80]
    column r4, r12, q2, q3
    vldrw.32 q6, [r3, #96]
    column r4, r12, q4, q5
    column r6, lr, q0, q1
    vldrw.32 q6, [r3, #112]
    column r6, lr, q2, q3
    vldrw.32 q6, [r3, #128]
    column r6, lr, q4, q5
.endif
.endm

.macro sums half, stride
    ldm r1!, {r0, r2, r4, r6, r8, r10, r12, lr}
    add r5, sp, #F_SEGMENTS
10\half:
    segment \stride
    cmp r5, r9
    bne 10\half\()b
.endm

.macro rows name, stride, relu
    enter \name, FRAME
    ldr r1, [r0, #STREAM_END]
    strd r0, r1, [sp, #F_ROWS]
    ldr r2, [r0, #COUNT]
    ldr r3, [r0, #PIXELS]
    strd r2, r3, [sp, #F_COUNT]
    ldrd r4, r5, [r0, #OUTPUT] /* and step */
    mov r6, #0
    strd r4, r6, [sp, #F_OUTPUT]
    strd r6, r5, [sp, #OFFSETS]
    lsl r7, r5, #1
    add r8, r7, r5
    strd r7, r8, [sp, #OFFSETS + 8]
1:  /* Where the segments of these four pixels begin. */
    ldr r0, [sp, #F_ROWS]
    ldrd r11, r4, [sp, #F_OUTPUT]
    ldrd r2, r3, [r0, #SEGMENTS]
    add r5, sp, #F_SEGMENTS
2:
    vldrw.32 q0, [r2], #16
    vadd.i32 q0, q0, r4
    vstrw.32 q0, [r5], #16
    subs r3, #4
    bgt 2b
    ldr r9, [sp, #F_COUNT]
    add r5, sp, #F_SEGMENTS
    add r9, r5, r9, lsl #2
    ldr r7, [sp, #F_STREAM_END]
    ldr r1, [r0, #STREAM]
3:
    sums 0, \stride
    finish q7, d14, d15, q6, d12, d13, \relu
    vsri.32 q7, q6, #8
    sums 1, \stride
    finish q6, d12, d13, q5, d10, d11, \relu
    vsri.32 q7, q6, #16
    vsri.32 q7, q5, #24
    vldrw.32 q4, [sp, #OFFSETS]
    vstrw.32 q7, [r11, q4]
    add r11, #4
    cmp r1, r7
    bne 3b
    /* The last four of the row overlap the ones before when its length is no multiple of four. */
    ldr r0, [sp, #F_PIXELS]
    subs r0, #4
    ble 4f
    mov r6, #4
    cmp r0, #4
    itt lt
    movlt r6, r0
    movlt r0, #4
    str r0, [sp, #F_PIXELS]
    ldrd r3, r4, [sp, #F_OUTPUT]
    ldr r5, [sp, #OFFSETS + 4]
    mla r3, r6, r5, r3
    add r4, r4, r6, lsl #(3 + \stride)
    strd r3, r4, [sp, #F_OUTPUT]
    b 1b
4:
    leave FRAME
    .size \name, . - \name
.endm

    rows tyf_mve_rows_s1, 1, 0
    rows tyf_mve_rows_s1_relu, 1, 1
    rows tyf_mve_rows_s2, 2, 0
    rows tyf_mve_rows_s2_relu, 2, 1
