/*
 * RP2040 from the board's 12 MHz crystal: 12 MHz * 125 = 1500 MHz, divided by 6 and by 2: 125 MHz for core and
 * peripherals. A reset of the core alone leaves the clocks running, so that each step first goes back to a safe source.
 */

#include "cortex_m.h"
#include "rp2040.h"

#define XOSC_CTRL TYF_REGISTER(RP2040_XOSC + 0x00u)
#define XOSC_STATUS TYF_REGISTER(RP2040_XOSC + 0x04u)
#define XOSC_STARTUP TYF_REGISTER(RP2040_XOSC + 0x0cu)
#define PLL_CS TYF_REGISTER(RP2040_PLL_SYS + 0x00u)
#define PLL_PWR TYF_REGISTER(RP2040_PLL_SYS + 0x04u)
#define PLL_FBDIV_INT TYF_REGISTER(RP2040_PLL_SYS + 0x08u)
#define PLL_PRIM TYF_REGISTER(RP2040_PLL_SYS + 0x0cu)
#define CLK_REF_CTRL TYF_REGISTER(RP2040_CLOCKS + 0x30u)
#define CLK_REF_SELECTED TYF_REGISTER(RP2040_CLOCKS + 0x38u)
#define CLK_SYS_CTRL TYF_REGISTER(RP2040_CLOCKS + 0x3cu)
#define CLK_SYS_SELECTED TYF_REGISTER(RP2040_CLOCKS + 0x44u)
#define CLK_PERI_CTRL TYF_REGISTER(RP2040_CLOCKS + 0x48u)
#define RESET TYF_REGISTER(RP2040_RESETS + 0x00u)
#define RESET_DONE TYF_REGISTER(RP2040_RESETS + 0x08u)

#define XOSC_ENABLE_1_TO_15_MHZ 0x00fabaa0u
#define XOSC_STABLE (1u << 31)
#define XOSC_DELAY (RP2040_CRYSTAL_MHZ * 1000u / 256u + 1u) /* a millisecond, in 256 periods */
#define PLL_REFDIV_1 1u
#define PLL_LOCK (1u << 31)
#define PLL_PD (1u << 0)
#define PLL_POSTDIVPD (1u << 3)
#define PLL_VCOPD (1u << 5)
#define PLL_POSTDIV1(divider) ((divider) << 16)
#define PLL_POSTDIV2(divider) ((divider) << 12)
#define CLK_REF_FROM_XOSC 2u
#define CLK_SYS_FROM_REF 0u
#define CLK_SYS_FROM_PLL 1u /* SRC: the auxiliary one, whose AUXSRC 0 is the PLL */
#define CLK_PERI_ENABLE (1u << 11)
#define RESET_IO_BANK0 (1u << 5)
#define RESET_PADS_BANK0 (1u << 8)
#define RESET_PLL_SYS (1u << 12)
#define RESET_TIMER (1u << 21)
#define RESET_UART0 (1u << 22)
#define RESET_UART1 (1u << 23)

_Static_assert(TYF_BOARD_CLOCK_HZ == 125000000 && TYF_BOARD_UART_CLOCK_HZ == 125000000, "what the PLL makes");

static void restart(uint32_t blocks) {
    RESET = RESET | blocks;
    RESET = RESET & ~blocks;
    while ((RESET_DONE & blocks) != blocks) {
    }
}

void tyf_rp2040_clock_start(void) {
    CLK_SYS_CTRL = CLK_SYS_FROM_REF;
    while (CLK_SYS_SELECTED != 1u << CLK_SYS_FROM_REF) {
    }
    XOSC_STARTUP = XOSC_DELAY;
    XOSC_CTRL = XOSC_ENABLE_1_TO_15_MHZ;
    while (!(XOSC_STATUS & XOSC_STABLE)) {
    }
    CLK_REF_CTRL = CLK_REF_FROM_XOSC;
    while (CLK_REF_SELECTED != 1u << CLK_REF_FROM_XOSC) {
    }
    restart(RESET_PLL_SYS);
    PLL_CS = PLL_REFDIV_1;
    PLL_FBDIV_INT = 125u;
    PLL_PWR = PLL_PWR & ~(PLL_PD | PLL_VCOPD);
    while (!(PLL_CS & PLL_LOCK)) {
    }
    PLL_PRIM = PLL_POSTDIV1(6u) | PLL_POSTDIV2(2u);
    PLL_PWR = PLL_PWR & ~PLL_POSTDIVPD;
    CLK_SYS_CTRL = CLK_SYS_FROM_PLL;
    while (CLK_SYS_SELECTED != 1u << CLK_SYS_FROM_PLL) {
    }
    CLK_PERI_CTRL = CLK_PERI_ENABLE; /* AUXSRC 0: the core's clock */
    restart(RESET_IO_BANK0 | RESET_PADS_BANK0 | RESET_TIMER | RESET_UART0 | RESET_UART1);
}
