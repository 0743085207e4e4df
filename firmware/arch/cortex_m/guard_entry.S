/*
 * The guard's entries and exits. One source for ARMv6-M, ARMv7-M and ARMv8-M; outside of conditions only what ARMv6-M has.
 */
#include "guard.h"
#include "tyf/core/config.h"

#if TYF_CFG_GUARD
    .syntax unified
    .thumb

/* Words that the handler of a fault may need of the stack in use, guard region included. */
#define FAULT_ROOM 512

/*
 * uint32_t tyf_guard_call(work r0, argument r1, guard r2, is_sandboxed r3)
 *
 * All registers that a caller expects back lie below guard->sp while work runs.
 */
    .section .text.tyf_guard_call, "ax", %progbits
    .global tyf_guard_call
    .type tyf_guard_call, %function
    .thumb_func
tyf_guard_call:
    push    {r2, r4-r7, lr}
    mov     r4, r8
    mov     r5, r9
    mov     r6, r10
    mov     r7, r11
    push    {r4-r7}
#if defined(__ARM_FP)
    vpush   {d8-d15}
    vmrs    r4, fpscr
    push    {r4, r5}
#endif
    mov     r4, sp
    str     r4, [r2, #TYF_GUARD_SP]
    movs    r5, #1
    str     r5, [r2, #TYF_GUARD_IS_ACTIVE]
    mov     r4, r0
    mov     r0, r1
#if __ARM_ARCH >= 7
    cbz     r3, 1f
    mrs     r3, control
    orr     r3, r3, #1                  /* unprivileged */
    msr     control, r3
    isb
    blx     r4
    svc     #0
    .global tyf_guard_svc_return
tyf_guard_svc_return:
    b       2f
1:
#endif
    blx     r4
2:
#if defined(__ARM_FP)
    ldr     r2, [sp, #8 + 64 + 16]
#else
    ldr     r2, [sp, #16]
#endif
    movs    r0, #0
    str     r0, [r2, #TYF_GUARD_IS_ACTIVE]
/* An exception returns here to end the call: SP is guard->sp, r0 the result. */
    .global tyf_guard_landing
    .thumb_func
tyf_guard_landing:
#if defined(__ARM_FP)
    pop     {r4, r5}
    vmsr    fpscr, r4                   /* the first use after such a return: it also ends what Helium predicates */
    vpop    {d8-d15}
#endif
    pop     {r4-r7}
    mov     r8, r4
    mov     r9, r5
    mov     r10, r6
    mov     r11, r7
    pop     {r2, r4-r7, pc}
    .size tyf_guard_call, . - tyf_guard_call

/*
 * HardFault, MemManage, BusFault, UsageFault, and the NMI of a watchdog. They never resume what they interrupted, so r4 to
 * r6 are free. The stack in use may be the one that ran over: nothing is pushed before it is known to have room.
 */
    .section .text.Fault_Handler, "ax", %progbits
    .global Fault_Handler
    .type Fault_Handler, %function
    .thumb_func
Fault_Handler:
    mov     r4, lr
    mrs     r5, msp
    mrs     r6, psp
    movs    r3, #1
    ldr     r0, =tyf_handler_stack_end
    cmp     r5, r0
    bhi     1f
    ldr     r1, =tyf_handler_stack_begin + FAULT_ROOM
    cmp     r5, r1
    bhs     2f
1:  msr     msp, r0
    movs    r3, #0
2:  mov     r0, r4
    mov     r1, r5
    mov     r2, r6
    bl      tyf_guard_fault             /* the frame to return to, or it does not return */
    msr     msp, r5
    b       unwind

/* But for a board whose flash reports damage by an NMI: it has its own. */
    .weak   NMI_Handler
    .thumb_set NMI_Handler, Fault_Handler

    .global SysTick_Handler
    .type SysTick_Handler, %function
    .thumb_func
SysTick_Handler:
    mov     r0, lr
    mrs     r1, msp
    mrs     r2, psp
    push    {r4, lr}
    bl      tyf_guard_tick              /* 0, or the frame to return to */
    cmp     r0, #0
    bne     1f
    pop     {r4, pc}
1:  ldr     r4, [sp, #4]
    add     sp, #8
unwind:                                 /* r0: frame, r4: EXC_RETURN as it was found */
    lsrs    r1, r4, #3                  /* carry: bit 2, the frame is on the process stack */
    bcs     1f
    msr     msp, r0
    b       2f
1:  msr     psp, r0
2:  movs    r1, #16
    orrs    r4, r1                      /* the frame has no floating-point registers */
    bx      r4

/* The way back from the sandbox. It is taken from one address only: from any other an SVC is a fault. */
#if __ARM_ARCH >= 7
    .global SVC_Handler
    .type SVC_Handler, %function
    .thumb_func
SVC_Handler:
    tst     lr, #4
    beq     1f
    mrs     r0, psp
    ldr     r1, [r0, #24]
    ldr     r2, =tyf_guard_svc_return
    bic     r2, r2, #1
    cmp     r1, r2
    bne     1f
    mrs     r1, control
    bic     r1, r1, #1
    msr     control, r1
    bx      lr
1:  b       Fault_Handler
#endif
    .pool
#endif
