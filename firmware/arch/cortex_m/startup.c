/* From reset to main(): floating-point unit, memory, stacks. */

#include <stdint.h>

#include "cortex_m.h"
#include "fault.h"
#include "guard.h"
#include "stack.h"
#include "tyf/core/config.h"

/* Symbols of link.ld; only their addresses mean something. */
extern uint32_t tyf_data_begin[], tyf_data_end[], tyf_bss_begin[], tyf_bss_end[];
extern const uint32_t tyf_data_load[];
extern uint32_t tyf_handler_stack_end[];

int main(void);
void Reset_Handler(void);
void tyf_startup_memory(void);

/* The board's interrupts follow in .isr_vector.board. Entries left 0 fault with pc 0 if they ever fire. */
__attribute__((section(".isr_vector.system"), used)) static const tyf_cortex_m_handler system_vectors[16] = {
    (tyf_cortex_m_handler)(uintptr_t)tyf_handler_stack_end,
    Reset_Handler,
    NMI_Handler,   /* a fault, unless the board says otherwise: the watchdog's first time-out */
    Fault_Handler, /* HardFault */
    Fault_Handler, /* MemManage */
    Fault_Handler, /* BusFault */
    Fault_Handler, /* UsageFault */
#if TYF_CFG_GUARD
    Fault_Handler, /* SecureFault */
#if __ARM_ARCH >= 7
    [11] = SVC_Handler,
#else
    [11] = Fault_Handler, /* nobody calls the supervisor */
#endif
    [14] = PendSV_Handler,
    [15] = SysTick_Handler,
#endif
};

/* Assembly up to main(): no compiled function may run before the FPU is on, or after the stack has changed below it. */
__attribute__((naked, used)) void Reset_Handler(void) {
    __asm volatile(
#if defined(__ARM_FP)
        "ldr r0, =0xe000ed88\n" /* CPACR: full access to CP10 and CP11 */
        "ldr r1, [r0]\n"
        "orr r1, r1, #0xf00000\n"
        "str r1, [r0]\n"
        "dsb\n"
        "isb\n"
#endif
#if __ARM_ARCH == 6
        /* An ARMv6-M core faults on unaligned access; a larger core that runs this code shall do the same. */
        "ldr r0, =0xe000ed14\n" /* CCR: UNALIGN_TRP */
        "ldr r1, [r0]\n"
        "movs r2, #8\n"
        "orrs r1, r2\n"
        "str r1, [r0]\n"
#endif
        "ldr r0, =tyf_handler_stack_end\n"
        "msr msp, r0\n"
        "ldr r0, =0xe000ed08\n" /* VTOR */
        "ldr r1, =tyf_vectors\n"
        "str r1, [r0]\n"
        "bl tyf_startup_memory\n"
        "ldr r0, =tyf_stack_end\n"
        "msr psp, r0\n"
        "movs r0, #2\n" /* thread mode uses the process stack */
        "msr control, r0\n"
        "isb\n"
#if TYF_CFG_GUARD
        "bl tyf_guard_start\n"
#endif
        "bl main\n"
        "1: b 1b\n"
        ".ltorg\n");
}

void tyf_startup_memory(void) {
    const uint32_t *from = tyf_data_load;
    for (uint32_t *to = tyf_data_begin; to < tyf_data_end; to++, from++) {
        *to = *from;
    }
    tyf_cortex_m_fill(tyf_bss_begin, tyf_bss_end, 0);
    tyf_stack_paint();
    tyf_fault_count_start();
}
