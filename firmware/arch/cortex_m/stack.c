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

/* Of the stack in use, below the frame of who paints: for the calls that it makes meanwhile. */
#define NOT_PAINTED_BYTES 64u

extern uint32_t tyf_stack_begin[], tyf_stack_end[], tyf_handler_stack_begin[], tyf_handler_stack_end[];

void tyf_stack_paint(void) {
    tyf_cortex_m_fill(tyf_stack_begin, tyf_stack_end, PAINT);
#if TYF_CFG_GUARD
    const uintptr_t here = (uintptr_t)__builtin_frame_address(0) & ~(uintptr_t)3u;
    tyf_cortex_m_fill(tyf_handler_stack_begin, (const uint32_t *)(here - NOT_PAINTED_BYTES), PAINT);
#endif
}

/* Bytes of a stack that are no longer as they were painted, from its end. */
static uint32_t used_bytes(const uint32_t *begin, const uint32_t *end) {
    const volatile uint32_t *word = begin + UNREADABLE_BYTES / sizeof *begin;
    while (word < end && *word == PAINT) {
        word++;
    }
    return (uint32_t)((uintptr_t)end - (uintptr_t)word);
}

uint32_t tyf_port_stack_bytes(void) {
    return (uint32_t)((uintptr_t)tyf_stack_end - (uintptr_t)tyf_stack_begin);
}

uint32_t tyf_port_stack_used_bytes(void) {
    return used_bytes(tyf_stack_begin, tyf_stack_end);
}

#if TYF_CFG_GUARD
uint32_t tyf_handler_stack_bytes(void) {
    return (uint32_t)((uintptr_t)tyf_handler_stack_end - (uintptr_t)tyf_handler_stack_begin);
}

uint32_t tyf_handler_stack_used_bytes(void) {
    return used_bytes(tyf_handler_stack_begin, tyf_handler_stack_end);
}
#endif
