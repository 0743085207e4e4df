#include "guarded.h"

#include "tyf/port/guard.h"

static void work(void *argument) {
    volatile const uint32_t *kind = argument;
    if (*kind == 1) {
        __builtin_trap();
    } else if (*kind == 2) {
        *(volatile uint8_t *)(uintptr_t)64 = 1;
    }
    while (*kind == 3) {
    }
}

uint32_t guarded(uint32_t kind, uint32_t budget_ms) {
    const tyf_guard_outcome outcome = tyf_port_run_guarded(work, &kind, budget_ms, 0);
    return (uint32_t)outcome.result;
}
