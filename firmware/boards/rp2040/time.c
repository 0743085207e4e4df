/* RP2040 TIMER: 64 bits of microseconds, counted by the watchdog's tick; its first alarm wakes the board once a second.
 */

#include <stdint.h>

#include "cortex_m.h"
#include "rp2040.h"
#include "tyf/port/time.h"

#define ALARM0 TYF_REGISTER(RP2040_TIMER + 0x10u)
#define TIMERAWH TYF_REGISTER(RP2040_TIMER + 0x24u)
#define TIMERAWL TYF_REGISTER(RP2040_TIMER + 0x28u)
#define INTR TYF_REGISTER(RP2040_TIMER + 0x34u)
#define INTE TYF_REGISTER(RP2040_TIMER + 0x38u)

#define ALARM_0 1u

_Static_assert(TYF_BOARD_TIMER_HZ == 1000000, "a tick is a microsecond");

/* It begins at 0: clock_start() has just reset the timer. */
void tyf_rp2040_time_start(void) {
    INTE = ALARM_0;
    ALARM0 = TIMERAWL + TYF_BOARD_TIMER_HZ;
    tyf_cortex_m_enable_irq(TYF_BOARD_WAKE_TIMER_IRQ);
}

/* Counted from now, not from the last alarm: one that lies in the past would come in 71 minutes. */
void tyf_rp2040_wake_interrupt(void) {
    INTR = ALARM_0;
    ALARM0 = TIMERAWL + TYF_BOARD_TIMER_HZ;
}

uint64_t tyf_port_ticks(void) {
    uint32_t high, low;
    do {
        high = TIMERAWH;
        low = TIMERAWL;
    } while (high != TIMERAWH); /* the low half wrapped in between */
    return (uint64_t)high << 32 | low;
}

uint64_t tyf_port_uptime_us(void) {
    return tyf_port_ticks();
}

uint64_t tyf_port_instructions(uint64_t ticks) {
    return ticks * TYF_BOARD_INSTRUCTIONS_NUMERATOR / TYF_BOARD_INSTRUCTIONS_DENOMINATOR;
}
