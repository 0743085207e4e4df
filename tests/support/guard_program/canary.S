/*
 * Stands in front of tyf_guard_call (linker option --wrap): every register that a caller expects back is known before and
 * compared after; guard_damaged counts the calls after which one differs.
 */
    .syntax unified
    .thumb
    .text
    .global __wrap_tyf_guard_call
    .type __wrap_tyf_guard_call, %function
    .thumb_func
__wrap_tyf_guard_call:
    push    {r4-r7, lr}
    mov     r4, r8
    mov     r5, r9
    mov     r6, r10
    mov     r7, r11
    push    {r3-r7}
    movs    r4, #41
    movs    r5, #42
    movs    r6, #43
    movs    r7, #44
    mov     r8, r4
    mov     r9, r5
    mov     r10, r6
    mov     r11, r7
#if defined(__ARM_FP)
    vpush   {d8-d15}
    vmov    s16, r5
    vmov    s31, r6
#endif
    bl      __real_tyf_guard_call
    movs    r1, #0
    mov     r2, r8
    subs    r2, #41
    orrs    r1, r2
    mov     r2, r9
    subs    r2, #42
    orrs    r1, r2
    mov     r2, r10
    subs    r2, #43
    orrs    r1, r2
    mov     r2, r11
    subs    r2, #44
    orrs    r1, r2
    subs    r4, #41
    orrs    r1, r4
    subs    r5, #42
    orrs    r1, r5
    subs    r6, #43
    orrs    r1, r6
    subs    r7, #44
    orrs    r1, r7
    mrs     r2, primask
    orrs    r1, r2
#if __ARM_ARCH >= 7
    mrs     r2, basepri
    orrs    r1, r2
    mrs     r2, ipsr        /* below live inference there may be a sandbox */
    cbnz    r2, 2f
    mrs     r2, control
    and     r2, r2, #1
    orrs    r1, r2
2:
#endif
#if defined(__ARM_FP)
    vmov    r2, s16
    subs    r2, #42
    orrs    r1, r2
    vmov    r2, s31
    subs    r2, #43
    orrs    r1, r2
#if defined(__ARM_FEATURE_MVE)
    vmrs    r2, vpr
    lsrs    r2, r2, #16     /* the masks; the predicates behind them are nobody's */
    orrs    r1, r2
#endif
    vpop    {d8-d15}
#endif
    cmp     r1, #0
    beq     1f
    ldr     r2, =guard_damaged
    ldr     r1, [r2]
    adds    r1, #1
    str     r1, [r2]
1:  pop     {r3-r7}
    mov     r8, r4
    mov     r9, r5
    mov     r10, r6
    mov     r11, r7
    pop     {r4-r7, pc}
    .pool
    .size __wrap_tyf_guard_call, . - __wrap_tyf_guard_call
