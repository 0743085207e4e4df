/*
 * STM32U585 from its own 16 MHz oscillator, HSI16: 160 MHz, the most it can, with all buses at the same rate. TrustZone
 * is off (TZEN 0, as the chip comes), so registers are at their non-secure addresses.
 *
 *     VCO 16 MHz * 10 = 160 MHz; PLL output, core, AHB and APB 160 MHz
 */

#include "cortex_m.h"
#include "stm32.h"

#define RCC_BASE 0x46020c00u
#define RCC_CR TYF_REGISTER(RCC_BASE + 0x00u)
#define RCC_CFGR1 TYF_REGISTER(RCC_BASE + 0x1cu)
#define RCC_PLL1CFGR TYF_REGISTER(RCC_BASE + 0x28u)
#define RCC_PLL1DIVR TYF_REGISTER(RCC_BASE + 0x34u)
#define RCC_AHB2ENR1 TYF_REGISTER(RCC_BASE + 0x8cu)
#define RCC_AHB3ENR TYF_REGISTER(RCC_BASE + 0x94u)
#define RCC_APB1ENR1 TYF_REGISTER(RCC_BASE + 0x9cu)
#define RCC_APB2ENR TYF_REGISTER(RCC_BASE + 0xa4u)
#define PWR_VOSR TYF_REGISTER(0x46020800u + 0x0cu)
#define FLASH_ACR TYF_REGISTER(TYF_BOARD_FLASH_BASE + 0x00u)
#define ICACHE_CR TYF_REGISTER(TYF_BOARD_ICACHE_BASE + 0x00u)

#define CR_HSION (1u << 8)
#define CR_HSIRDY (1u << 10)
#define CR_PLL1ON (1u << 24)
#define CR_PLL1RDY (1u << 25)
#define CFGR1_SW_PLL1 3u
#define CFGR1_SWS (3u << 2)
#define PLL1CFGR_SRC_HSI16 2u
#define PLL1CFGR_RGE_8_TO_16_MHZ (3u << 2)
#define PLL1CFGR_REN (1u << 18) /* the output that the core uses; M and MBOOST stay 0, for 1 */
#define PLL1DIVR_N(n) ((n) - 1u)
#define PLL1DIVR_P(p) (((p) - 1u) << 9)
#define PLL1DIVR_Q(q) (((q) - 1u) << 16)
#define PLL1DIVR_R(r) (((r) - 1u) << 24)
#define AHB2ENR1_GPIOAEN (1u << 0)
#define AHB3ENR_PWREN (1u << 2)
#define APB1ENR1_TIM2EN (1u << 0)
#define APB1ENR1_TIM5EN (1u << 3)
#define APB2ENR_USART1EN (1u << 14)
#define VOSR_BOOSTRDY (1u << 14)
#define VOSR_VOSRDY (1u << 15)
#define VOSR_VOS_RANGE_1 (3u << 16)
#define VOSR_BOOSTEN (1u << 18)
#define ACR_LATENCY_4 4u /* wait states: up to 160 MHz in range 1 */
#define ACR_PRFTEN (1u << 8)
#define ICACHE_EN 1u

_Static_assert(TYF_BOARD_CLOCK_HZ == 160000000, "what the PLL makes");
_Static_assert(TYF_BOARD_TIMER_HZ == 160000000 && TYF_BOARD_UART_CLOCK_HZ == 160000000, "no bus is slower");

void tyf_stm32_clock_start(void) {
    RCC_AHB2ENR1 = RCC_AHB2ENR1 | AHB2ENR1_GPIOAEN;
    RCC_APB1ENR1 = RCC_APB1ENR1 | APB1ENR1_TIM2EN | APB1ENR1_TIM5EN;
    RCC_APB2ENR = RCC_APB2ENR | APB2ENR_USART1EN;
    RCC_AHB3ENR = RCC_AHB3ENR | AHB3ENR_PWREN;
    (void)RCC_AHB3ENR; /* a clock is on two cycles after the write; reading back waits for it */
    RCC_CR = RCC_CR | CR_HSION;
    while (!(RCC_CR & CR_HSIRDY)) {
    }
    PWR_VOSR = PWR_VOSR | VOSR_VOS_RANGE_1;
    while (!(PWR_VOSR & VOSR_VOSRDY)) {
    }
    /* The booster, needed above 55 MHz, runs from the PLL's source: that must be chosen before. */
    RCC_PLL1CFGR = PLL1CFGR_SRC_HSI16 | PLL1CFGR_RGE_8_TO_16_MHZ | PLL1CFGR_REN;
    RCC_PLL1DIVR = PLL1DIVR_N(10u) | PLL1DIVR_P(2u) | PLL1DIVR_Q(2u) | PLL1DIVR_R(1u);
    PWR_VOSR = PWR_VOSR | VOSR_BOOSTEN;
    while (!(PWR_VOSR & VOSR_BOOSTRDY)) {
    }
    RCC_CR = RCC_CR | CR_PLL1ON;
    while (!(RCC_CR & CR_PLL1RDY)) {
    }
    FLASH_ACR = ACR_LATENCY_4 | ACR_PRFTEN;
    while ((FLASH_ACR & 15u) != ACR_LATENCY_4) {
    }
    ICACHE_CR = ICACHE_CR | ICACHE_EN;
    RCC_CFGR1 = CFGR1_SW_PLL1;
    while ((RCC_CFGR1 & CFGR1_SWS) != CFGR1_SW_PLL1 << 2) {
    }
}
