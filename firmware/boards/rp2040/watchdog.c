/* RP2040 watchdog: it resets all but the oscillators. Its tick, a microsecond, is the timer's too. */

#include <stdint.h>

#include "cortex_m.h"
#include "rp2040.h"
#include "tyf/port/system.h"

#define CTRL TYF_REGISTER(RP2040_WATCHDOG + 0x00u)
#define LOAD TYF_REGISTER(RP2040_WATCHDOG + 0x04u)
#define TICK TYF_REGISTER(RP2040_WATCHDOG + 0x2cu)
#define PSM_WDSEL TYF_REGISTER(RP2040_PSM + 0x08u)

#define CTRL_ENABLE (1u << 30)
#define TICK_ENABLE (1u << 9)
#define PSM_ALL_BUT_OSCILLATORS 0x0001fffcu
#define LOAD_VALUE (TYF_BOARD_WATCHDOG_TIMEOUT_S * 2u * 1000000u) /* erratum RP2040-E1: it counts each tick twice */

_Static_assert(LOAD_VALUE <= 0xffffff, "24-bit counter");

void tyf_rp2040_watchdog_start(void) {
    CTRL = 0;
    TICK = TICK_ENABLE | RP2040_CRYSTAL_MHZ; /* until the crystal runs the ticks are longer: it waits longer */
    PSM_WDSEL = PSM_ALL_BUT_OSCILLATORS;
    LOAD = LOAD_VALUE;
    CTRL = CTRL_ENABLE;
}

void tyf_port_watchdog_feed(void) {
    LOAD = LOAD_VALUE;
}
