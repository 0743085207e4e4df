/*
 * One counter runs freely and is extended to 64 bits: a CMSDK APB timer, or the system counter of an SSE-300. A CMSDK
 * APB timer wakes the board once a second.
 */

#include <stdint.h>

#include "cortex_m.h"
#include "mps2.h"
#include "tyf/core/divide.h"
#include "tyf/port/time.h"

#define TIMER_CTRL(base) TYF_REGISTER((base) + 0x00u)
#define TIMER_VALUE(base) TYF_REGISTER((base) + 0x04u)
#define TIMER_RELOAD(base) TYF_REGISTER((base) + 0x08u)
#define TIMER_INTERRUPT(base) TYF_REGISTER((base) + 0x0cu)

#define CTRL_ENABLE 1u
#define CTRL_INTERRUPT 8u

#if defined(TYF_BOARD_SYSTEM_COUNTER_CONTROL_BASE)
/* Counts from 0 at power-on and keeps on over a reset. */
static void start_counter(void) {
    TYF_REGISTER(TYF_BOARD_SYSTEM_COUNTER_CONTROL_BASE) = CTRL_ENABLE;
}

static uint32_t counter(void) {
    return TYF_REGISTER(TYF_BOARD_TIMER_BASE); /* low half of the count, as a system timer shows it */
}
#else
static void start_counter(void) {
    TIMER_RELOAD(TYF_BOARD_TIMER_BASE) = 0xffffffffu;
    TIMER_VALUE(TYF_BOARD_TIMER_BASE) = 0xffffffffu;
    TIMER_CTRL(TYF_BOARD_TIMER_BASE) = CTRL_ENABLE;
}

static uint32_t counter(void) {
    return ~TIMER_VALUE(TYF_BOARD_TIMER_BASE);
}
#endif

static uint32_t start, last_low, high;

void tyf_mps2_time_start(void) {
    start_counter();
    start = counter();
    last_low = 0;
    high = 0;
    TIMER_RELOAD(TYF_BOARD_WAKE_TIMER_BASE) = TYF_BOARD_WAKE_TIMER_HZ - 1u;
    TIMER_VALUE(TYF_BOARD_WAKE_TIMER_BASE) = TYF_BOARD_WAKE_TIMER_HZ - 1u;
    TIMER_CTRL(TYF_BOARD_WAKE_TIMER_BASE) = CTRL_ENABLE | CTRL_INTERRUPT;
    tyf_cortex_m_enable_irq(TYF_BOARD_WAKE_TIMER_IRQ);
}

/* The counter wraps every 2^32 ticks (134 s at 32 MHz); a reading below the one before means that it did. The
 * wake-up reads it each second, so no wrap is missed, and there is no race with an overflow flag. */
uint64_t tyf_port_ticks(void) {
    uint32_t masked = tyf_cortex_m_mask();
    uint32_t low = counter() - start;
    if (low < last_low) {
        high++;
    }
    last_low = low;
    uint64_t ticks = (uint64_t)high << 32 | low;
    tyf_cortex_m_unmask(masked);
    return ticks;
}

void tyf_mps2_wake_interrupt(void) {
    TIMER_INTERRUPT(TYF_BOARD_WAKE_TIMER_BASE) = 1u;
    (void)tyf_port_ticks();
}

uint64_t tyf_port_uptime_us(void) {
    _Static_assert(TYF_BOARD_CLOCK_HZ % 1000000 == 0, "whole ticks a microsecond");
    return tyf_divide_u64(tyf_port_ticks(), TYF_BOARD_CLOCK_HZ / 1000000u);
}

uint64_t tyf_port_instructions(uint64_t ticks) {
    return tyf_divide_u64(ticks * TYF_BOARD_INSTRUCTIONS_NUMERATOR, TYF_BOARD_INSTRUCTIONS_DENOMINATOR);
}
