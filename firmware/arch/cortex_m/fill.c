#include <stdint.h>

#include "cortex_m.h"

/* Assembly: the compiler stores word by word, and start-up would be four times as long. Only registers that STM and
 * MOVS take on ARMv6-M. */
__attribute__((naked)) void tyf_cortex_m_fill(uint32_t *begin, const uint32_t *end, uint32_t word) {
    (void)begin;
    (void)end;
    (void)word;
    __asm volatile("push {r4, r5, lr}\n"
                   "movs r3, r2\n"
                   "movs r4, r2\n"
                   "movs r5, r2\n"
                   "subs r1, #64\n"
                   "b 2f\n"
                   "1: stmia r0!, {r2-r5}\n"
                   "stmia r0!, {r2-r5}\n"
                   "stmia r0!, {r2-r5}\n"
                   "stmia r0!, {r2-r5}\n"
                   "2: cmp r0, r1\n"
                   "bls 1b\n"
                   "adds r1, #64\n"
                   "b 4f\n"
                   "3: stmia r0!, {r2}\n"
                   "4: cmp r0, r1\n"
                   "blo 3b\n"
                   "pop {r4, r5, pc}\n");
}
