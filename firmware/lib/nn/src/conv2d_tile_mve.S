/*
 * The core of CONV_2D for Helium: all filters at a run of pixels, four pixels by two filters at a time.
 *
 *     void tyf_mve_tile(const tyf_mve_run *run);            depth up to 128
 *     void tyf_mve_tile_relu(const tyf_mve_run *run);       the same where outputs below the zero point are clamped away
 *     void tyf_mve_tile_deep(const tyf_mve_run *run);       any depth
 *     void tyf_mve_tile_deep_relu(const tyf_mve_run *run);
 *
 * Sixteen products per VMLADAVA. Eight sums take the eight even registers that it adds into, so that the loop has six
 * registers for pointers and none for a counter: the blocks of 16 are unrolled, and the first half of them skipped by a
 * jump. Lanes of the sums are pixels; the constants of a filter are scalars. Stream of four filters, 3 2 then 1 0:
 *
 *     bias x 4, bias x 4, then per 16 of depth: 16 weights, 16 weights, then multiplier, round, shift of both
 */
#include "tyf/nn/mve.inc"

/* Offsets in tyf_mve_run. */
#define RUN_INPUT 0
#define RUN_STREAM 4
#define RUN_STREAM_END 8
#define RUN_OUTPUT 12
#define RUN_STEP 16
#define RUN_OUTPUT_STEP 20
#define RUN_PIXELS 24
#define RUN_BLOCKS 28

/* Our frame. */
#define STREAM 0
#define STREAM_END 4
#define INPUT 8
#define OUTPUT 12
#define STEP 16
#define OUTPUT_STEP 20
#define PIXELS 24
#define CHUNKS 28
#define ENTRIES 32
#define POINTERS 40
#define OUTPUT_NOW 56
#define OFFSETS 60
#define FRAME 80

#define CHAIN 8
#define BLOCK_BYTES 56

.macro block at
    vldrw.32 q4, [r1], #16
    vldrb.8 q0, [r3, #\at]
    vmladava.s8 r0, q0, q4
    vldrb.8 q1, [r5, #\at]
    vmladava.s8 r2, q1, q4
    vldrb.8 q2, [r7, #\at]
    vmladava.s8 r4, q2, q4
    vldrb.8 q3, [r9, #\at]
    vmladava.s8 r6, q3, q4
    vldrw.32 q5, [r1], #16
    vmladava.s8 r8, q0, q5
    vmladava.s8 r10, q1, q5
    vmladava.s8 r12, q2, q5
    vmladava.s8 lr, q3, q5
.endm

/* The sums of two filters at four pixels, starting at their bias. Jumps into the chain, which falls through. */
.macro sums half, deep
    ldm r1!, {r0, r2, r4, r6, r8, r10, r12, lr}
.if \deep
    ldr r11, [sp, #CHUNKS]
.endif
    ldr pc, [sp, #ENTRIES + 4 * \half]
    .balign 4
10\half:
    block 0
    block 16
    block 32
    block 48
    block 64
    block 80
    block 96
    block 112
.if \deep
    subs r11, #1
    bne 20\half\()f
    ldrd r3, r5, [sp, #POINTERS]
    ldrd r7, r9, [sp, #POINTERS + 8]
.endif
.endm

/* Where a filter deeper than the chain goes on. */
.macro next_chunk half
20\half:
    add r3, #128
    add r5, #128
    add r7, #128
    add r9, #128
    b 10\half\()b
.endm

.macro tile name, relu, deep
    enter \name, FRAME
    ldrd r4, r5, [r0, #RUN_STREAM]
    strd r4, r5, [sp, #STREAM]
    ldrd r4, r5, [r0, #RUN_STEP]
    strd r4, r5, [sp, #STEP]
    mov r6, #0
    strd r6, r5, [sp, #OFFSETS]
    lsl r6, r5, #1
    add r7, r6, r5
    strd r6, r7, [sp, #OFFSETS + 8]
    ldrd r6, r7, [r0, #RUN_PIXELS] /* and blocks */
    sub r7, #1
    lsr r8, r7, #3
    add r8, #1
    strd r6, r8, [sp, #PIXELS]
    and r7, #CHAIN - 1
    rsb r7, #CHAIN - 1 /* blocks that the first chunk skips */
    mov r8, #BLOCK_BYTES
    ldr r9, =100f + 1
    mla r9, r7, r8, r9
    ldr r10, =101f + 1
    mla r10, r7, r8, r10
    strd r9, r10, [sp, #ENTRIES]
    ldr r9, [r0, #RUN_INPUT]
    sub r9, r9, r7, lsl #4
    ldr r10, [r0, #RUN_OUTPUT]
    strd r9, r10, [sp, #INPUT]
1:
    ldr r1, [sp, #STREAM]
    ldrd r3, r11, [sp, #INPUT]
    ldr r4, [sp, #STEP]
    add r5, r3, r4
    add r7, r5, r4
    add r9, r7, r4
.if \deep
    strd r3, r5, [sp, #POINTERS]
    strd r7, r9, [sp, #POINTERS + 8]
    str r11, [sp, #OUTPUT_NOW]
.endif
2:
    sums 0, \deep
    finish q7, d14, d15, q6, d12, d13, \relu
    vsri.32 q7, q6, #8
    sums 1, \deep
    finish q6, d12, d13, q5, d10, d11, \relu
    vsri.32 q7, q6, #16
    vsri.32 q7, q5, #24
    vldrw.32 q4, [sp, #OFFSETS]
.if \deep
    ldr r11, [sp, #OUTPUT_NOW]
.endif
    vstrw.32 q7, [r11, q4]
    add r11, #4
.if \deep
    str r11, [sp, #OUTPUT_NOW]
.endif
    ldr r0, [sp, #STREAM_END]
    cmp r1, r0
    bne 2b
    /* The last four of the run overlap the ones before when its length is no multiple of four. */
    ldr r0, [sp, #PIXELS]
    subs r0, #4
    ble 3f
    ldrd r3, r11, [sp, #INPUT]
    ldrd r4, r5, [sp, #STEP]
    mov r6, #4
    cmp r0, #4
    itt lt
    movlt r6, r0
    movlt r0, #4
    mla r3, r6, r4, r3
    mla r11, r6, r5, r11
    strd r3, r11, [sp, #INPUT]
    str r0, [sp, #PIXELS]
    b 1b
3:
    leave FRAME
.if \deep
    next_chunk 0
    next_chunk 1
.endif
    .ltorg
    .size \name, . - \name
.endm

    tile tyf_mve_tile, 0, 0
    tile tyf_mve_tile_relu, 1, 0
    tile tyf_mve_tile_deep, 0, 1
    tile tyf_mve_tile_deep_relu, 1, 1
