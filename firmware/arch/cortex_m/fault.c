#include "fault.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cortex_m.h"
#include "crash.h"
#include "guard.h"
#include "mpu.h"
#include "tyf/core/config.h"
#include "tyf/port/system.h"

#define SCB_AIRCR 0xe000ed0cu
#define SCB_CFSR 0xe000ed28u
#define SCB_HFSR 0xe000ed2cu
#define SCB_MMFAR 0xe000ed34u
#define SCB_BFAR 0xe000ed38u
#define AIRCR_RESET 0x05fa0004u
#define STARTS_CHECK 0x54595253u

extern uint32_t tyf_ram_begin[], tyf_ram_end[], tyf_stack_begin[], tyf_handler_stack_begin[];
extern const uint8_t tyf_vectors[], tyf_image_end[];

/* RAM after power-on is arbitrary: the count counts only with its check word. volatile: the reset that reads it is
 * invisible to the compiler, which would drop the stores. */
static volatile struct {
    uint32_t count;
    uint32_t check;
} starts __attribute__((section(".noinit")));

#if TYF_CFG_GUARD

#define CFSR_MMFAR_VALID (1u << 7)
#define CFSR_BFAR_VALID (1u << 15)
#define EXC_RETURN_PSP 4u
#define NMI_NUMBER 2u
#define TRAP 0xdeffu /* what the compiler makes of __builtin_trap() */

static const uint32_t *frame_at(uint32_t sp) {
    const uint32_t last = (uint32_t)(uintptr_t)tyf_ram_end - 32u;
    const bool is_ram = sp >= (uint32_t)(uintptr_t)tyf_ram_begin && sp <= last && sp % 4u == 0;
    return is_ram ? (const uint32_t *)(uintptr_t)sp : NULL;
}

#if __ARM_ARCH >= 7
TYF_NO_FP static bool is_below_stack(uint32_t address, const uint32_t *stack) {
    return address - (uint32_t)(uintptr_t)stack < TYF_STACK_GUARD_BYTES;
}
#endif

TYF_NO_FP static tyf_crash_why reason(const tyf_crash_cause *cause, const uint32_t *frame) {
    if (tyf_cortex_m_exception() == NMI_NUMBER) {
        return TYF_CRASH_WHY_WATCHDOG;
    }
#if __ARM_ARCH >= 7
    if (cause->cfsr & TYF_CFSR_NO_FRAME ||
        (cause->cfsr & CFSR_MMFAR_VALID && (is_below_stack(cause->address, tyf_stack_begin) ||
                                            is_below_stack(cause->address, tyf_handler_stack_begin)))) {
        return TYF_CRASH_WHY_STACK;
    }
#else
    (void)cause;
#endif
    if (frame == NULL) {
        return TYF_CRASH_WHY_STACK;
    }
    const uint32_t pc = frame[6];
    const bool is_code =
        pc % 2u == 0 && pc >= (uint32_t)(uintptr_t)tyf_vectors && pc < (uint32_t)(uintptr_t)tyf_image_end;
    return is_code && *(const uint16_t *)(uintptr_t)pc == TRAP ? TYF_CRASH_WHY_ASSERT : TYF_CRASH_WHY_FAULT;
}

TYF_NO_FP uint32_t tyf_guard_fault(uint32_t exc_return, uint32_t msp, uint32_t psp, uint32_t is_msp_sound) {
    tyf_crash_cause cause = {.exc_return = exc_return, .sp = exc_return & EXC_RETURN_PSP ? psp : msp};
    const uint32_t *frame = frame_at(cause.sp);
#if __ARM_ARCH >= 7
    cause.cfsr = TYF_REGISTER(SCB_CFSR);
    if (cause.cfsr & CFSR_MMFAR_VALID) {
        cause.address = TYF_REGISTER(SCB_MMFAR);
    } else if (cause.cfsr & CFSR_BFAR_VALID) {
        cause.address = TYF_REGISTER(SCB_BFAR);
    }
    TYF_REGISTER(SCB_CFSR) = cause.cfsr; /* writing ones clears */
    TYF_REGISTER(SCB_HFSR) = TYF_REGISTER(SCB_HFSR);
    if (cause.cfsr & TYF_CFSR_NO_FRAME) {
        frame = NULL;
    }
#endif
    const int context = tyf_guard_interrupted(exc_return, msp, frame != NULL && is_msp_sound);
    if (tyf_cortex_m_exception() == NMI_NUMBER) {
        tyf_port_watchdog_feed(); /* or the NMI comes back at once */
    }
    if (context >= 0 && tyf_guards[context].is_active) {
        tyf_guard_outcome *outcome = &tyf_guards[context].outcome;
        outcome->pc = frame != NULL ? frame[6] : 0;
        outcome->cfsr = cause.cfsr;
        outcome->address = cause.address;
        const bool is_hang = tyf_cortex_m_exception() == NMI_NUMBER;
        return tyf_guard_unwind(context, is_hang ? TYF_GUARD_OVERRUN : TYF_GUARD_FAULT, exc_return);
    }
    cause.why = reason(&cause, frame);
    tyf_crash(&cause, frame);
}

#else

/* With the guard, guard_entry.S has both. */
__attribute__((weak, alias("Fault_Handler"))) void NMI_Handler(void);

#define FAULT_CHECK 0x54594646u

static volatile struct {
    uint32_t pc;
    uint32_t lr;
    uint32_t cfsr;
    uint32_t check;
} last_fault __attribute__((section(".noinit")));

void tyf_fault_record(uint32_t pc, uint32_t lr);

/*
 * Take pc and lr out of the exception frame if the stack pointer that holds it is sane, then report on a fresh
 * handler stack: the old one may be the cause. A second fault in here would lock the core up.
 */
__attribute__((naked, used)) void Fault_Handler(void) {
    __asm volatile("mov r0, lr\n"
                   "lsls r0, r0, #29\n" /* EXC_RETURN bit 2 to the sign: frame on the process stack */
                   "bmi 1f\n"
                   "mrs r0, msp\n"
                   "b 2f\n"
                   "1: mrs r0, psp\n"
                   "2: ldr r1, =tyf_ram_begin\n"
                   "cmp r0, r1\n"
                   "blo 3f\n"
                   "ldr r1, =tyf_ram_end - 32\n"
                   "cmp r0, r1\n"
                   "bhi 3f\n"
                   "ldr r1, [r0, #20]\n"
                   "ldr r0, [r0, #24]\n"
                   "b 4f\n"
                   "3: movs r0, #0\n"
                   "movs r1, #0\n"
                   "4: ldr r2, =tyf_handler_stack_end\n"
                   "msr msp, r2\n"
                   "ldr r2, =tyf_fault_record\n"
                   "bx r2\n"
                   ".ltorg\n");
}

__attribute__((used)) void tyf_fault_record(uint32_t pc, uint32_t lr) {
    uint32_t cfsr = TYF_REGISTER(SCB_CFSR);
    last_fault.pc = pc;
    last_fault.lr = lr;
    last_fault.cfsr = cfsr;
    last_fault.check = pc ^ lr ^ cfsr ^ FAULT_CHECK;
    tyf_port_reset();
}

bool tyf_port_last_fault(tyf_port_fault *fault) {
    fault->pc = last_fault.pc;
    fault->lr = last_fault.lr;
    fault->cfsr = last_fault.cfsr;
    if (last_fault.check == (fault->pc ^ fault->lr ^ fault->cfsr ^ FAULT_CHECK)) {
        return true;
    }
    *fault = (tyf_port_fault){0};
    return false;
}

#endif

void tyf_fault_count_start(void) {
    if (starts.check == (starts.count ^ STARTS_CHECK)) {
        starts.count++;
    } else {
        starts.count = 0;
    }
    starts.check = starts.count ^ STARTS_CHECK;
}

uint32_t tyf_port_resets(void) {
    return starts.count;
}

void tyf_port_reset(void) {
    __asm volatile("dsb" ::: "memory");
    TYF_REGISTER(SCB_AIRCR) = AIRCR_RESET;
    for (;;) {
    }
}
