/* nRF5 TIMER: one of 32 bits runs freely and is extended to 64, one wakes the board once a second. */

#include <stdint.h>

#include "cortex_m.h"
#include "nrf5.h"
#include "tyf/port/time.h"

#define TASK_START(base) TYF_REGISTER((base) + 0x000u)
#define TASK_CAPTURE(base) TYF_REGISTER((base) + 0x040u)
#define EVENT_COMPARE(base) TYF_REGISTER((base) + 0x140u)
#define SHORTS(base) TYF_REGISTER((base) + 0x200u)
#define INTERRUPTS_ON(base) TYF_REGISTER((base) + 0x304u)
#define BIT_MODE(base) TYF_REGISTER((base) + 0x508u)
#define PRESCALER(base) TYF_REGISTER((base) + 0x510u)
#define COMPARE(base) TYF_REGISTER((base) + 0x540u)

#define COMPARE_CLEARS 1u
#define COMPARE_INTERRUPT (1u << 16)
#define BITS_16 0u
#define BITS_32 3u
#define PRESCALER_512 9u

_Static_assert(TYF_BOARD_TIMER_HZ / 512 <= 0xffff, "a second fits the 16 bits of the wake timer");

static uint32_t last_low, high;

void tyf_nrf5_time_start(void) {
    last_low = 0;
    high = 0;
    BIT_MODE(TYF_BOARD_TIMER_BASE) = BITS_32;
    PRESCALER(TYF_BOARD_TIMER_BASE) = 0;
    TASK_START(TYF_BOARD_TIMER_BASE) = 1;
    BIT_MODE(TYF_BOARD_WAKE_TIMER_BASE) = BITS_16;
    PRESCALER(TYF_BOARD_WAKE_TIMER_BASE) = PRESCALER_512;
    COMPARE(TYF_BOARD_WAKE_TIMER_BASE) = TYF_BOARD_TIMER_HZ / 512u;
    SHORTS(TYF_BOARD_WAKE_TIMER_BASE) = COMPARE_CLEARS;
    INTERRUPTS_ON(TYF_BOARD_WAKE_TIMER_BASE) = COMPARE_INTERRUPT;
    TASK_START(TYF_BOARD_WAKE_TIMER_BASE) = 1;
    tyf_cortex_m_enable_irq(TYF_BOARD_WAKE_TIMER_IRQ);
}

/* The counter wraps every 268 s; a reading below the one before means that it did. The wake-up reads it each second. */
uint64_t tyf_port_ticks(void) {
    uint32_t masked = tyf_cortex_m_mask();
    TASK_CAPTURE(TYF_BOARD_TIMER_BASE) = 1;
    uint32_t low = COMPARE(TYF_BOARD_TIMER_BASE);
    if (low < last_low) {
        high++;
    }
    last_low = low;
    uint64_t ticks = (uint64_t)high << 32 | low;
    tyf_cortex_m_unmask(masked);
    return ticks;
}

void tyf_nrf5_wake_interrupt(void) {
    EVENT_COMPARE(TYF_BOARD_WAKE_TIMER_BASE) = 0;
    (void)tyf_port_ticks();
}

uint64_t tyf_port_uptime_us(void) {
    return tyf_port_ticks() / (TYF_BOARD_TIMER_HZ / 1000000u);
}

uint64_t tyf_port_instructions(uint64_t ticks) {
    return ticks * TYF_BOARD_INSTRUCTIONS_NUMERATOR / TYF_BOARD_INSTRUCTIONS_DENOMINATOR;
}
