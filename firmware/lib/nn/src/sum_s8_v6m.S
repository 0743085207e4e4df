/*
 * ADD and SUB for ARMv6-M: clamp((a * a_multiplier + b * b_multiplier + offset) >> 21), which the compiler has compared
 * with the oracle for all 65,536 pairs of inputs.
 *
 *     void tyf_sum_s8_v6m(const tyf_sum_s8_v6m_params *params, const int8_t *a, const int8_t *b, int8_t *output);
 */
#include "tyf/nn/v6m.inc"

/* Offsets in tyf_sum_s8_v6m_params. */
#define COUNT 0
#define A_MULTIPLIER 4
#define B_MULTIPLIER 8
#define OFFSET 12
#define LOW 16
#define HIGH 20

/* kernels/v6m/sums.py, SHIFT */
#define SHIFT 21

    .section .text.tyf_sum_s8_v6m, "ax", %progbits
    .global tyf_sum_s8_v6m
    .type tyf_sum_s8_v6m, %function
    .thumb_func
tyf_sum_s8_v6m:
    enter 0
    /* r4 counts from -count up to 0, from the ends of all three */
    ldr r4, [r0, #COUNT]
    adds r1, r1, r4
    adds r2, r2, r4
    adds r3, r3, r4
    rsbs r4, r4, #0
    ldr r5, [r0, #OFFSET]
    mov r8, r5
    ldr r5, [r0, #LOW]
    mov r9, r5
    ldr r5, [r0, #HIGH]
    mov r10, r5
    ldr r5, [r0, #A_MULTIPLIER]
    ldr r6, [r0, #B_MULTIPLIER]
1:
    ldrsb r0, [r1, r4]
    ldrsb r7, [r2, r4]
    muls r0, r5
    muls r7, r6
    adds r0, r0, r7
    add r0, r8
    asrs r0, r0, #SHIFT
    cmp r0, r9
    blt 3f
    cmp r0, r10
    bgt 4f
2:
    strb r0, [r3, r4]
    adds r4, #1
    bne 1b
    leave 0
3:
    mov r0, r9
    b 2b
4:
    mov r0, r10
    b 2b
    .size tyf_sum_s8_v6m, . - tyf_sum_s8_v6m
