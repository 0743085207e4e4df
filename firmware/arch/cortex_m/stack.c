#include "stack.h"

#include <stdint.h>

#include "cortex_m.h"
#include "mpu.h"
#include "tyf/port/system.h"

#define PAINT 0x7f7f5a5au

/* Where the stack is guarded by a region of memory, nothing may touch it, and an overflow never gets further. */
#if TYF_CFG_GUARD && __ARM_ARCH == 7
#define UNREADABLE_BYTES TYF_STACK_GUARD_BYTES
#else
#define UNREADABLE_BYTES 0u
#endif

extern uint32_t tyf_stack_begin[], tyf_stack_end[];

void tyf_stack_paint(void) {
    tyf_cortex_m_fill(tyf_stack_begin, tyf_stack_end, PAINT);
}

uint32_t tyf_port_stack_bytes(void) {
    return (uint32_t)((uintptr_t)tyf_stack_end - (uintptr_t)tyf_stack_begin);
}

uint32_t tyf_port_stack_used_bytes(void) {
    const volatile uint32_t *word = tyf_stack_begin + UNREADABLE_BYTES / sizeof *tyf_stack_begin;
    while (word < tyf_stack_end && *word == PAINT) {
        word++;
    }
    return (uint32_t)((uintptr_t)tyf_stack_end - (uintptr_t)word);
}
