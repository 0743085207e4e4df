/*
 * The core of ADD for Helium, four elements at a time.
 *
 *     void tyf_mve_add_elements(const tyf_mve_add *add, const int8_t *halved, const int8_t *scaled, int8_t *output);
 *     void tyf_mve_add_elements_relu(...);   the same where outputs below the zero point are clamped away
 *
 * Requantisation as in mve.inc, for the scaled input as well, whose shift is a rounding one of the vector.
 */
    .syntax unified
    .thumb

.macro elements name, relu
    .section .text.\name, "ax", %progbits
    .balign 4
    .global \name
    .type \name, %function
    .thumb_func
\name:
    push {r4-r11, lr}
    vpush {d8-d9}
    /* Elements, offset of the halved, of the scaled, its multiplier, shift, sign; multiplier, round, 24 - shift. */
    ldm r0, {r0, r4-r11}
    mov r12, #1
    lsl lr, r12, #19
    vdup.32 q3, lr
    lsl lr, r12, #20
    vdup.32 q4, lr
    wlstp.32 lr, r0, 2f
1:
    vldrb.s32 q1, [r2], #4
    vmlas.s32 q1, q4, r5
    vqrdmulh.s32 q2, q1, r6
    vqdmlah.s32 q2, q1, r8
    vrshl.s32 q2, r7
    vldrb.s32 q0, [r1], #4
    vmlas.s32 q0, q3, r4
    vadd.i32 q0, q0, q2
    vqrdmulh.s32 q1, q0, r9
.if !\relu
    vqdmlah.s32 q1, q0, r12
.endif
    vqadd.s32 q1, q1, r10
    vqshl.s32 q1, r11
    vshr.s32 q1, q1, #24
    vstrb.32 q1, [r3], #4
    letp lr, 1b
2:
    vpop {d8-d9}
    pop {r4-r11, pc}
    .size \name, . - \name
.endm

    elements tyf_mve_add_elements, 0
    elements tyf_mve_add_elements_relu, 1
