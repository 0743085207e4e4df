/*
 * The core of FULLY_CONNECTED for ARMv6-M: all units for one input vector, eight at a time, weights of one byte.
 *
 *     void tyf_v6m_dense(const tyf_v6m_dense_work *work);
 *
 * A word V holds the weights + 128 of four units, O = (V >> 8) & 0x00FF00FF those of the odd ones. Sums of V * x and O * x
 * modulo 2^32 hold all four: even units are sum(V * x) - 256 * sum(O * x), so that their bytes are never unpacked. A group ends
 * before the |weights| of a unit sum to more than 255; then 128 * sum(x) is taken off each half, and the halves, which are
 * within 16 bits again, go to wide sums. The schedule holds the lengths of the groups, 0 after each eight units.
 */
#include "tyf/nn/v6m.inc"

/* Offsets in tyf_v6m_dense_work. */
#define INPUT 0
#define OUTPUT 4
#define WEIGHTS 8
#define SCHEDULE 12
#define STARTS 16
#define SCALINGS 20
#define SCALING_STEP 24
#define UNITS 28

/* The frame: eight wide sums, then these. */
#define F_INPUT 32
#define F_OUTPUT 36
#define F_SCHEDULE 40
#define F_STARTS 44
#define F_SCALINGS 48
#define F_SCALING_STEP 52
#define F_UNITS 56
#define F_BYTES 60

/* r0 end of the group's input, r1 weights, r6 mask, r7 -products left; r8 to r11 sums of V and O, r12 sum of x */
.macro product
    ldrsb r4, [r0, r7]
    ldm r1!, {r2, r3}
    lsrs r5, r2, #8
    ands r5, r6
    muls r2, r4
    muls r5, r4
    add r8, r2
    add r9, r5
    lsrs r5, r3, #8
    ands r5, r6
    muls r3, r4
    muls r5, r4
    add r10, r3
    add r11, r5
    add r12, r4
    adds r7, #1
.endm

/* Both halves of `pair` to the wide sums at `low` and `high`. */
.macro widen pair, low, high
    sxth r5, \pair
    asrs \pair, \pair, #16
    ldr r6, [sp, #4 * (\high)]
    adcs r6, \pair
    str r6, [sp, #4 * (\high)]
    ldr r6, [sp, #4 * (\low)]
    adds r6, r6, r5
    str r6, [sp, #4 * (\low)]
.endm

/* Sums of V in `all` and of O in `odd`, four units from `first`; r2 is 128 * sum(x) in both halves. */
.macro drain all, odd, first
    mov r3, \all
    mov r4, \odd
    lsls r5, r4, #8
    subs r3, r3, r5
    subs r3, r3, r2
    subs r4, r4, r2
    widen r3, \first, \first + 2
    widen r4, \first + 1, \first + 3
.endm

    .section .text.tyf_v6m_dense, "ax", %progbits
    .global tyf_v6m_dense
    .type tyf_v6m_dense, %function
    .thumb_func
tyf_v6m_dense:
    enter F_BYTES
    ldr r1, [r0, #INPUT]
    str r1, [sp, #F_INPUT]
    ldr r1, [r0, #OUTPUT]
    str r1, [sp, #F_OUTPUT]
    ldr r1, [r0, #SCHEDULE]
    str r1, [sp, #F_SCHEDULE]
    ldr r1, [r0, #STARTS]
    str r1, [sp, #F_STARTS]
    ldr r1, [r0, #SCALINGS]
    str r1, [sp, #F_SCALINGS]
    ldr r1, [r0, #SCALING_STEP]
    str r1, [sp, #F_SCALING_STEP]
    ldr r1, [r0, #UNITS]
    str r1, [sp, #F_UNITS]
    ldr r1, [r0, #WEIGHTS]

10: /* eight units */
    ldr r6, [sp, #F_STARTS]
    mov r7, sp
.rept 2
    ldm r6!, {r2-r5}
    stm r7!, {r2-r5}
.endr
    str r6, [sp, #F_STARTS]
    ldr r0, [sp, #F_INPUT]
2: /* a group */
    ldr r3, [sp, #F_SCHEDULE]
    ldrb r7, [r3]
    adds r3, #1
    str r3, [sp, #F_SCHEDULE]
    adds r0, r0, r7
    rsbs r7, r7, #0
    beq 6f
    ldr r6, 9f
    movs r2, #0
    mov r8, r2
    mov r9, r2
    mov r10, r2
    mov r11, r2
    mov r12, r2
    lsls r2, r7, #31
    bne 4f
3:
    product
4:
    product
    bne 3b
    mov r2, r12
    lsls r3, r2, #16
    adds r2, r2, r3
    lsls r2, r2, #7
    drain r8, r9, 0
    drain r10, r11, 4
    b 2b

    .align 2
9:
    .word 0x00FF00FF

6: /* eight sums to int8 */
    ldr r6, [sp, #F_OUTPUT]
    ldr r5, [sp, #F_SCALINGS]
    ldr r0, [sp, #F_UNITS]
    movs r2, #8
    subs r4, r0, r2
    bhs 1f
    movs r2, r0
    movs r4, #0
1:
    str r4, [sp, #F_UNITS]
    mov r7, sp
    lsls r2, r2, #2
    add r2, sp
    mov r8, r2
    ldr r2, [sp, #F_SCALING_STEP]
    mov r9, r2
7: /* limit, knee, offset below, offset, high, low */
    ldm r7!, {r0}
    ldr r2, [r5, #0]
    cmp r0, r2
    bhs 5f
    ldr r2, [r5, #4]
    ldr r3, [r5, #8]
    cmp r0, r2
    blo 1f
    ldr r3, [r5, #12]
1:
    ldr r2, [r5, #16]
    ldr r4, [r5, #20]
    muls r2, r0
    muls r0, r4
    lsrs r0, r0, #TYF_V6M_LOW_BITS
    adds r0, r0, r2
    adds r0, r0, r3
    asrs r0, r0, #24
8:
    strb r0, [r6]
    adds r6, #1
    add r5, r9
    cmp r7, r8
    bne 7b
    str r6, [sp, #F_OUTPUT]
    str r5, [sp, #F_SCALINGS]
    ldr r2, [sp, #F_UNITS]
    cmp r2, #0
    beq 1f
    b 10b
5:
    clamp r0, r2
    b 8b
1:
    leave F_BYTES
    .size tyf_v6m_dense, . - tyf_v6m_dense
