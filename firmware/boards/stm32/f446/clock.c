/*
 * STM32F446 from its own 16 MHz oscillator, HSI: 168 MHz, the most without over-drive. HSI is within 1 % at room
 * temperature, enough for a UART; the board's other source, the debugger's 8 MHz, needs a debugger that runs.
 *
 *     VCO 16 MHz / 8 * 168 = 336 MHz; core and AHB 336 / 2 = 168 MHz; APB1 42 MHz, its timers 84 MHz
 */

#include "cortex_m.h"
#include "stm32.h"

#define RCC_CR TYF_REGISTER(0x40023800u + 0x00u)
#define RCC_PLLCFGR TYF_REGISTER(0x40023800u + 0x04u)
#define RCC_CFGR TYF_REGISTER(0x40023800u + 0x08u)
#define RCC_AHB1ENR TYF_REGISTER(0x40023800u + 0x30u)
#define RCC_APB1ENR TYF_REGISTER(0x40023800u + 0x40u)
#define PWR_CR TYF_REGISTER(0x40007000u + 0x00u)
#define FLASH_ACR TYF_REGISTER(TYF_BOARD_FLASH_BASE + 0x00u)

#define CR_PLLON (1u << 24)
#define CR_PLLRDY (1u << 25)
#define PLLCFGR_M 8u
#define PLLCFGR_N (168u << 6)
#define PLLCFGR_P_2 (0u << 16)
#define PLLCFGR_Q (7u << 24) /* 48 MHz, unused */
#define PLLCFGR_R (2u << 28) /* unused */
#define CFGR_SW_PLL 2u
#define CFGR_SWS (3u << 2)
#define CFGR_SWS_PLL (2u << 2)
#define CFGR_PPRE1_4 (5u << 10)
#define CFGR_PPRE2_2 (4u << 13)
#define AHB1ENR_GPIOAEN 1u
#define APB1ENR_TIM2EN (1u << 0)
#define APB1ENR_TIM5EN (1u << 3)
#define APB1ENR_USART2EN (1u << 17)
#define APB1ENR_PWREN (1u << 28)
#define CR_VOS_SCALE_1 (3u << 14)
#define ACR_LATENCY_5 5u /* wait states: 150 to 180 MHz at 2.7 to 3.6 V */
#define ACR_PRFTEN (1u << 8)
#define ACR_ICEN (1u << 9)
#define ACR_DCEN (1u << 10)

_Static_assert(TYF_BOARD_CLOCK_HZ == 168000000, "what the dividers above make");
_Static_assert(TYF_BOARD_TIMER_HZ == 84000000 && TYF_BOARD_UART_CLOCK_HZ == 42000000, "timers and USART2 are on APB1");

void tyf_stm32_clock_start(void) {
    RCC_APB1ENR = RCC_APB1ENR | APB1ENR_TIM2EN | APB1ENR_TIM5EN | APB1ENR_USART2EN | APB1ENR_PWREN;
    RCC_AHB1ENR = RCC_AHB1ENR | AHB1ENR_GPIOAEN;
    (void)RCC_AHB1ENR; /* a clock is on two cycles after the write; reading back waits for it */
    PWR_CR = PWR_CR | CR_VOS_SCALE_1;
    RCC_PLLCFGR = PLLCFGR_M | PLLCFGR_N | PLLCFGR_P_2 | PLLCFGR_Q | PLLCFGR_R;
    RCC_CR = RCC_CR | CR_PLLON;
    while (!(RCC_CR & CR_PLLRDY)) {
    }
    FLASH_ACR = ACR_LATENCY_5 | ACR_PRFTEN | ACR_ICEN | ACR_DCEN;
    while ((FLASH_ACR & 15u) != ACR_LATENCY_5) {
    }
    RCC_CFGR = CFGR_PPRE1_4 | CFGR_PPRE2_2 | CFGR_SW_PLL;
    while ((RCC_CFGR & CFGR_SWS) != CFGR_SWS_PLL) {
    }
}
