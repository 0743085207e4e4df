/* CMSDK APB watchdog: its first time-out is an NMI, which records the place and resets; a second one resets anyway. */

#include <stdint.h>

#include "cortex_m.h"
#include "mps2.h"
#include "tyf/port/system.h"

#define LOAD TYF_REGISTER(TYF_BOARD_WATCHDOG_BASE + 0x00u)
#define CTRL TYF_REGISTER(TYF_BOARD_WATCHDOG_BASE + 0x08u)
#define INTERRUPT_CLEAR TYF_REGISTER(TYF_BOARD_WATCHDOG_BASE + 0x0cu)
#define LOCK TYF_REGISTER(TYF_BOARD_WATCHDOG_BASE + 0xc00u)

#define CTRL_INTERRUPT 1u
#define CTRL_RESET 2u
#define LOCK_KEY 0x1acce551u

_Static_assert(TYF_BOARD_WATCHDOG_TIMEOUT_S >= 60, "an emulated inference may take seconds of board time");
_Static_assert((uint64_t)TYF_BOARD_WATCHDOG_TIMEOUT_S *TYF_BOARD_WATCHDOG_HZ <= 0xffffffffu, "32-bit counter");

void tyf_port_watchdog_start(uint32_t timeout_s) {
    LOCK = LOCK_KEY;
    LOAD = timeout_s * (uint32_t)TYF_BOARD_WATCHDOG_HZ;
    CTRL = CTRL_INTERRUPT | CTRL_RESET;
    LOCK = 0;
}

void tyf_port_watchdog_feed(void) {
    LOCK = LOCK_KEY;
    INTERRUPT_CLEAR = 1u; /* also reloads the counter */
    LOCK = 0;
}
