/*
 * The core of FULLY_CONNECTED for Helium: eight units share each load of the input.
 *
 *     void tyf_mve_dense(const tyf_mve_dense_run *run);
 *     void tyf_mve_dense_relu(const tyf_mve_dense_run *run);   outputs below the zero point are clamped away
 *
 * Stream of eight units, always in the order 0 2 4 6 1 3 5 7, as the two vectors of sums hold the even and the odd ones:
 * bias of each; per 16 of depth 16 weights of each; multiplier of each, round of each, 24 - shift of each. Requantisation
 * as in mve.inc.
 */
#include "tyf/nn/mve.inc"

/* Offsets in tyf_mve_dense_run. */
#define INPUT 0
#define STREAM 4
#define OUTPUT 8
#define UNITS 12
#define BLOCKS 16

/* Our frame. */
#define F_ENTRY 0
#define F_CHUNKS 4
#define FRAME 8

#define CHAIN 8
#define BLOCK_BYTES 68

.macro unit sum, weights
    vldrw.32 \weights, [r1], #16
    vmladava.s8 \sum, q0, \weights
.endm

.macro block
    vldrb.8 q0, [r3], #16
    unit r0, q1
    unit r2, q2
    unit r4, q3
    unit r6, q1
    unit r8, q2
    unit r10, q3
    unit r12, q1
    unit lr, q2
.endm

.macro dense name, relu
    enter \name, FRAME
    ldr r11, [r0, #INPUT]
    ldrd r1, r5, [r0, #STREAM] /* and output */
    ldrd r9, r7, [r0, #UNITS] /* and blocks */
    sub r7, #1
    lsr r8, r7, #3
    add r8, #1
    and r7, #CHAIN - 1
    rsb r7, #CHAIN - 1 /* blocks that the first chunk skips */
    mov r6, #BLOCK_BYTES
    ldr r4, =2f + 1
    mla r4, r7, r6, r4
    strd r4, r8, [sp, #F_ENTRY]
1:
    ldm r1!, {r0, r2, r4, r6, r8, r10, r12, lr}
    mov r3, r11
    ldr r7, [sp, #F_CHUNKS]
    ldr pc, [sp, #F_ENTRY]
    .balign 4
2:
.rept CHAIN
    block
.endr
    subs r7, #1
    bne 2b
    vmov d12, r0, r2
    vmov d13, r4, r6
    vmov d14, r8, r10
    vmov d15, r12, lr
    vldrw.32 q0, [r1], #16
    vldrw.32 q1, [r1], #16
.if \relu
    vqrdmulh.s32 q4, q6, q0
    vqrdmulh.s32 q5, q7, q1
.else
    mov r0, #1
    vqrdmulh.s32 q4, q6, q0
    vqrdmulh.s32 q5, q7, q1
    vqdmlah.s32 q4, q6, r0
    vqdmlah.s32 q5, q7, r0
.endif
    vldrw.32 q0, [r1], #16
    vldrw.32 q1, [r1], #16
    vqadd.s32 q4, q4, q0
    vqadd.s32 q5, q5, q1
    vldrw.32 q0, [r1], #16
    vldrw.32 q1, [r1], #16
    vqshl.s32 q4, q4, q0
    vqshl.s32 q5, q5, q1
    vshr.u32 q5, q5, #8
    vsri.32 q5, q4, #24
    vctp.16 r9
    vpst
    vstrbt.16 q5, [r5], #8
    subs r9, #8
    bgt 1b
    leave FRAME
    .ltorg
    .size \name, . - \name
.endm

    dense tyf_mve_dense, 0
    dense tyf_mve_dense_relu, 1
