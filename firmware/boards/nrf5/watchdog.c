/* nRF5 WDT: it resets the board when it was not fed in time. QEMU's micro:bit has none and ignores all this. */

#include <stdint.h>

#include "cortex_m.h"
#include "nrf5.h"
#include "tyf/port/system.h"

#define TASK_START TYF_REGISTER(TYF_BOARD_WATCHDOG_BASE + 0x000u)
#define RELOAD_VALUE TYF_REGISTER(TYF_BOARD_WATCHDOG_BASE + 0x504u)
#define RELOAD TYF_REGISTER(TYF_BOARD_WATCHDOG_BASE + 0x600u)

#define TICKS_HZ 32768u
#define RELOAD_KEY 0x6e524635u

void tyf_nrf5_watchdog_start(void) {
    RELOAD_VALUE = TYF_BOARD_WATCHDOG_TIMEOUT_S * TICKS_HZ;
    TASK_START = 1;
}

void tyf_port_watchdog_feed(void) {
    RELOAD = RELOAD_KEY;
}
