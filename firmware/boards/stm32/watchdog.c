/* STM32 IWDG: it runs from its own oscillator, about 32 kHz (17 to 47 on an STM32F4), and resets the board. */

#include <stdint.h>

#include "cortex_m.h"
#include "stm32.h"
#include "tyf/port/system.h"

#define KEY TYF_REGISTER(TYF_BOARD_WATCHDOG_BASE + 0x00u)       /* IWDG_KR */
#define PRESCALER TYF_REGISTER(TYF_BOARD_WATCHDOG_BASE + 0x04u) /* IWDG_PR */
#define RELOAD TYF_REGISTER(TYF_BOARD_WATCHDOG_BASE + 0x08u)    /* IWDG_RLR */
#define STATUS TYF_REGISTER(TYF_BOARD_WATCHDOG_BASE + 0x0cu)    /* IWDG_SR */

#define KEY_START 0xccccu
#define KEY_WRITE 0x5555u
#define KEY_FEED 0xaaaau
#define PRESCALER_256 6u
#define TICKS_HZ (32000u / 256u)

_Static_assert(TYF_BOARD_WATCHDOG_TIMEOUT_S *TICKS_HZ <= 4096, "12-bit counter");

void tyf_stm32_watchdog_start(void) {
    KEY = KEY_START;
    KEY = KEY_WRITE;
    PRESCALER = PRESCALER_256;
    RELOAD = TYF_BOARD_WATCHDOG_TIMEOUT_S * TICKS_HZ - 1u;
    while (STATUS) { /* the values travel into the other clock's domain */
    }
    KEY = KEY_FEED;
}

void tyf_port_watchdog_feed(void) {
    KEY = KEY_FEED;
}
