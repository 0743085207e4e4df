/**
 * What the parts of the guard share: the two contexts that code can be guarded in, and how an exception leaves one.
 *
 * Context 0 is thread mode (management), 1 is PendSV (live inference). An exception that finds a guarded context
 * running can end the guarded call instead of returning into it; docs/decisions/0040-preemptive-runner.md says why this
 * is sound.
 */
#ifndef TYF_CORTEX_M_GUARD_H
#define TYF_CORTEX_M_GUARD_H

/* Offsets for assembly; guard.c checks them. */
#define TYF_GUARD_SP 0
#define TYF_GUARD_IS_ACTIVE 4

#define TYF_CONTEXT_THREAD 0
#define TYF_CONTEXT_LIVE 1

#if !defined(__ASSEMBLER__)

#include <stdbool.h>
#include <stdint.h>

#include "tyf/port/guard.h"

/* Code that runs between a fault and its end must not touch the floating-point registers: what they hold is not saved.
 */
#if defined(__ARM_FP)
#define TYF_NO_FP __attribute__((target("general-regs-only")))
#else
#define TYF_NO_FP
#endif

/* CFSR bits that say that the frame at the stack pointer was not written: MSTKERR, MLSPERR, STKERR, LSPERR, STKOF. */
#define TYF_CFSR_NO_FRAME 0x00103030u

typedef struct {
    uint32_t sp; /* of tyf_guard_call's frame: where its landing pad begins */
    volatile uint32_t is_active;
    volatile int32_t ticks_left; /* ticks that found this very context running count */
    tyf_guard_outcome outcome;
} tyf_guard;

extern tyf_guard tyf_guards[2];

/* Faults as exceptions of their own, memory protection, priorities; once, at start-up, on the main stack. */
void tyf_guard_start(void);

/* The context that an exception interrupted; -1: none that is guarded ever, or it cannot be known. */
int tyf_guard_interrupted(uint32_t exc_return, uint32_t msp, bool has_frame);

/* End the guarded call of a context. @return the frame that the exception must return to, for the handler in
 * guard_entry.S */
uint32_t tyf_guard_unwind(int context, tyf_guard_result result, uint32_t exc_return);

/* Entries of the vector table, in guard_entry.S and live.c. */
void Fault_Handler(void);
void SVC_Handler(void);
void PendSV_Handler(void);
void SysTick_Handler(void);

/* Called by them. */
uint32_t tyf_guard_fault(uint32_t exc_return, uint32_t msp, uint32_t psp, uint32_t is_msp_sound);
uint32_t tyf_guard_tick(uint32_t exc_return, uint32_t msp, uint32_t psp);
uint32_t tyf_guard_call(void (*work)(void *), void *argument, tyf_guard *guard, uint32_t is_sandboxed);

#endif
#endif
