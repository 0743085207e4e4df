#include "guard.h"

#include <stddef.h>

#include "cortex_m.h"
#include "mpu.h"
#include "tick.h"
#include "tyf/core/assert.h"

#if TYF_CFG_GUARD

#define SCB_CCR 0xe000ed14u
#define SCB_SHPR3 0xe000ed20u
#define SCB_SHCSR 0xe000ed24u
#define FPU_FPCCR 0xe000ef34u

#define CCR_DIV_0_TRAP (1u << 4)
#define SHCSR_FAULTS_ENABLED (7u << 16)
#define SHCSR_FAULTS_PENDING (7u << 12)
#define FPCCR_LAZY_ACTIVE 1u
#define SYSTICK_PRIORITY 0x40u /* above the drivers' interrupts, below the faults */
#define PENDSV_PRIORITY 0xc0u  /* the lowest of all */

#define EXC_RETURN_THREAD 8u
#define EXC_RETURN_PSP 4u
#define EXC_RETURN_NO_FP 16u
#define PSR_THUMB 0x01000000u
#define PENDSV_NUMBER 14u
#define FRAME_WORDS 8u

_Static_assert(offsetof(tyf_guard, sp) == TYF_GUARD_SP, "guard_entry.S");
_Static_assert(offsetof(tyf_guard, is_active) == TYF_GUARD_IS_ACTIVE, "guard_entry.S");

extern void tyf_guard_landing(void);

tyf_guard tyf_guards[2];

void tyf_guard_start(void) {
#if __ARM_ARCH >= 7
    TYF_REGISTER(SCB_CCR) |= CCR_DIV_0_TRAP;
    TYF_REGISTER(SCB_SHCSR) |= SHCSR_FAULTS_ENABLED;
#endif
    TYF_REGISTER(SCB_SHPR3) = SYSTICK_PRIORITY << 24 | PENDSV_PRIORITY << 16;
    tyf_mpu_start();
}

tyf_guard_outcome tyf_port_run_guarded(void (*work)(void *), void *argument, uint32_t budget_ms,
                                       const tyf_guard_sandbox *sandbox) {
    const int context = tyf_cortex_m_exception() == 0 ? TYF_CONTEXT_THREAD : TYF_CONTEXT_LIVE;
    tyf_guard *guard = &tyf_guards[context];
    TYF_ASSERT(!guard->is_active && (sandbox == NULL || context == TYF_CONTEXT_THREAD));
    guard->ticks_left = (int32_t)budget_ms;
    guard->outcome = (tyf_guard_outcome){0};
    if (sandbox != NULL) {
        tyf_mpu_open_sandbox(sandbox);
    }
    const uint32_t user = context == TYF_CONTEXT_THREAD ? TYF_TICK_GUARD_THREAD : TYF_TICK_GUARD_LIVE;
    tyf_tick_start(user);
    guard->outcome.result = (tyf_guard_result)tyf_guard_call(work, argument, guard, sandbox != NULL);
    tyf_tick_stop(user);
    if (sandbox != NULL) {
        tyf_mpu_close_sandbox();
    }
    return guard->outcome;
}

/* In thread mode only one thing runs, and it runs on the process stack: no frame needs to be read, and none may be
 * there. PendSV is told from the interrupts above it by the number in the frame. */
TYF_NO_FP int tyf_guard_interrupted(uint32_t exc_return, uint32_t msp, bool has_frame) {
    if (exc_return & EXC_RETURN_THREAD) {
        return exc_return & EXC_RETURN_PSP ? TYF_CONTEXT_THREAD : -1;
    }
    if (!has_frame) {
        return -1;
    }
    return (((const uint32_t *)(uintptr_t)msp)[7] & 0x1ffu) == PENDSV_NUMBER ? TYF_CONTEXT_LIVE : -1;
}

/* A fresh frame right below guard->sp, not the old one changed: after a stack overflow there is no old one. The
 * exception return pops it, and then the stack pointer is guard->sp. */
TYF_NO_FP uint32_t tyf_guard_unwind(int context, tyf_guard_result result, uint32_t exc_return) {
    tyf_guard *guard = &tyf_guards[context];
    uint32_t *frame = (uint32_t *)(uintptr_t)guard->sp - FRAME_WORDS;
    guard->is_active = 0;
    for (uint32_t i = 1; i < FRAME_WORDS - 2u; i++) {
        frame[i] = 0;
    }
    frame[0] = (uint32_t)result;
    frame[6] = (uint32_t)(uintptr_t)tyf_guard_landing & ~1u;
    frame[7] = PSR_THUMB | (context == TYF_CONTEXT_LIVE ? PENDSV_NUMBER : 0u);
#if __ARM_ARCH >= 7
    /* A fault while the frame of another is written leaves that one pending: it would come back at once. */
    TYF_REGISTER(SCB_SHCSR) &= ~SHCSR_FAULTS_PENDING;
#if defined(__ARM_FP)
    if (!(exc_return & EXC_RETURN_NO_FP)) {
        /* Only then the space that waits for floating-point registers is that of the code that ends here. */
        TYF_REGISTER(FPU_FPCCR) &= ~FPCCR_LAZY_ACTIVE;
    }
#endif
    if (context == TYF_CONTEXT_THREAD) { /* else it is the sandbox below that is unprivileged, and stays so */
        uint32_t control;
        __asm volatile("mrs %0, control" : "=r"(control));
        __asm volatile("msr control, %0\n isb" ::"r"(control & ~1u));
    }
    __asm volatile("msr basepri, %0\n cpsie f" ::"r"(0) : "memory");
#endif
    (void)exc_return;
    __asm volatile("cpsie i" ::: "memory");
    return (uint32_t)(uintptr_t)frame;
}

#endif
