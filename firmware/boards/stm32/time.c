/* STM32 general-purpose timers of 32 bits: one runs freely and is extended to 64, one wakes the board once a second. */

#include <stdint.h>

#include "cortex_m.h"
#include "stm32.h"
#include "tyf/port/time.h"

#define CONTROL(base) TYF_REGISTER((base) + 0x00u)    /* TIMx_CR1 */
#define INTERRUPTS(base) TYF_REGISTER((base) + 0x0cu) /* TIMx_DIER */
#define STATUS(base) TYF_REGISTER((base) + 0x10u)     /* TIMx_SR */
#define EVENT(base) TYF_REGISTER((base) + 0x14u)      /* TIMx_EGR */
#define COUNTER(base) TYF_REGISTER((base) + 0x24u)    /* TIMx_CNT */
#define PRESCALER(base) TYF_REGISTER((base) + 0x28u)  /* TIMx_PSC */
#define RELOAD(base) TYF_REGISTER((base) + 0x2cu)     /* TIMx_ARR */

#define CONTROL_ENABLE 1u   /* CEN */
#define INTERRUPT_UPDATE 1u /* UIE */
#define EVENT_UPDATE 1u     /* UG: takes over prescaler and reload at once, and counts from 0 */

static uint32_t last_low, high;

static void start_timer(uint32_t base, uint32_t reload) {
    CONTROL(base) = 0;
    PRESCALER(base) = 0;
    RELOAD(base) = reload;
    EVENT(base) = EVENT_UPDATE;
    STATUS(base) = 0;
}

void tyf_stm32_time_start(void) {
    last_low = 0;
    high = 0;
    start_timer(TYF_BOARD_TIMER_BASE, 0xffffffffu);
    CONTROL(TYF_BOARD_TIMER_BASE) = CONTROL_ENABLE;
    start_timer(TYF_BOARD_WAKE_TIMER_BASE, TYF_BOARD_TIMER_HZ - 1u);
    INTERRUPTS(TYF_BOARD_WAKE_TIMER_BASE) = INTERRUPT_UPDATE;
    CONTROL(TYF_BOARD_WAKE_TIMER_BASE) = CONTROL_ENABLE;
    tyf_cortex_m_enable_irq(TYF_BOARD_WAKE_TIMER_IRQ);
}

/* The counter wraps every 2^32 ticks (26 s at 160 MHz); a reading below the one before means that it did. The wake-up
 * reads it each second. */
uint64_t tyf_port_ticks(void) {
    uint32_t masked = tyf_cortex_m_mask();
    uint32_t low = COUNTER(TYF_BOARD_TIMER_BASE);
    if (low < last_low) {
        high++;
    }
    last_low = low;
    uint64_t ticks = (uint64_t)high << 32 | low;
    tyf_cortex_m_unmask(masked);
    return ticks;
}

void tyf_stm32_wake_interrupt(void) {
    STATUS(TYF_BOARD_WAKE_TIMER_BASE) = 0;
    (void)tyf_port_ticks();
}

uint64_t tyf_port_uptime_us(void) {
    _Static_assert(TYF_BOARD_TIMER_HZ % 1000000 == 0, "whole ticks a microsecond");
    return tyf_port_ticks() / (TYF_BOARD_TIMER_HZ / 1000000u);
}

uint64_t tyf_port_instructions(uint64_t ticks) {
    return ticks * TYF_BOARD_INSTRUCTIONS_NUMERATOR / TYF_BOARD_INSTRUCTIONS_DENOMINATOR;
}
