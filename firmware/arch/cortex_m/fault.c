#include "fault.h"

#include <stdbool.h>
#include <stdint.h>

#include "cortex_m.h"
#include "tyf/port/system.h"

#define SCB_AIRCR 0xe000ed0cu
#define SCB_CFSR 0xe000ed28u
#define AIRCR_RESET 0x05fa0004u
#define FAULT_CHECK 0x54594646u
#define STARTS_CHECK 0x54595253u

/* RAM after power-on is arbitrary: each value counts only with its check word. volatile: the reset that reads them
 * is invisible to the compiler, which would drop the stores. */
static volatile struct {
    uint32_t pc;
    uint32_t lr;
    uint32_t cfsr;
    uint32_t check;
} last_fault __attribute__((section(".noinit")));

static volatile struct {
    uint32_t count;
    uint32_t check;
} starts __attribute__((section(".noinit")));

void tyf_fault_record(uint32_t pc, uint32_t lr);

__attribute__((weak, alias("Fault_Handler"))) void NMI_Handler(void);

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

void tyf_port_reset(void) {
    __asm volatile("dsb" ::: "memory");
    TYF_REGISTER(SCB_AIRCR) = AIRCR_RESET;
    for (;;) {
    }
}
