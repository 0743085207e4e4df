/* Just enough start-up for newlib's semihosting runtime on an MPS2 or MPS3 machine: vector table, FPU, and for ARMv6-M
 * code the faults that such a core raises on unaligned access. */
#include <stdint.h>
#include <stdlib.h>

extern void initialise_monitor_handles(void);
extern int main(void);
extern uint32_t __stack;

static void reset(void) {
#if defined(__ARM_FP)
    *(volatile uint32_t *)0xE000ED88u |= 0xFu << 20;
    __asm volatile("dsb\n isb");
#endif
#if __ARM_ARCH == 6
    *(volatile uint32_t *)0xE000ED14u |= 1u << 3; /* CCR: UNALIGN_TRP */
#endif
    /* Not _start(): it takes heap and stack from the emulator's guess of free memory, which is wrong on mps3-an547. */
    initialise_monitor_handles();
    exit(main());
}

static void host_call(uint32_t operation, uint32_t argument) {
    register uint32_t r0 __asm("r0") = operation;
    register uint32_t r1 __asm("r1") = argument;
    __asm volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
}

/* Ends the emulator with 1, so that nobody waits for a program that is dead. */
static void fault(void) {
    host_call(0x04, (uint32_t)"the program faulted\n"); /* SYS_WRITE0 */
    host_call(0x18, 0x20023u);                          /* SYS_EXIT, run-time error */
    for (;;) {
    }
}

__attribute__((section(".vectors"), used)) static void *const vectors[16] = {
    &__stack, (void *)reset, (void *)fault, (void *)fault, (void *)fault, (void *)fault, (void *)fault,
};
