/* nRF5 CLOCK: after a reset the chip runs on its RC oscillator, which is too far off for a UART; the crystal is close.
 */

#include "cortex_m.h"
#include "nrf5.h"

#define TASK_HFCLK_START TYF_REGISTER(TYF_BOARD_CLOCK_BASE + 0x000u)    /* TASKS_HFCLKSTART */
#define EVENT_HFCLK_STARTED TYF_REGISTER(TYF_BOARD_CLOCK_BASE + 0x100u) /* EVENTS_HFCLKSTARTED */

/* No limit to the wait but the watchdog's: with a broken crystal the board has no UART to say so. */
void tyf_nrf5_clock_start(void) {
    EVENT_HFCLK_STARTED = 0;
    TASK_HFCLK_START = 1;
    while (!EVENT_HFCLK_STARTED) {
    }
}
