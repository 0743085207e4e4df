/** Where STM32F4 differs from other STM32: the older USART. */
#ifndef TYF_BOARDS_STM32_CHIP_H
#define TYF_BOARDS_STM32_CHIP_H

#include "cortex_m.h"

#define UART_STATUS TYF_REGISTER(TYF_BOARD_UART_BASE + 0x00u)       /* USART_SR */
#define UART_RX_DATA TYF_REGISTER(TYF_BOARD_UART_BASE + 0x04u)      /* USART_DR */
#define UART_TX_DATA TYF_REGISTER(TYF_BOARD_UART_BASE + 0x04u)      /* USART_DR */
#define UART_BAUD_DIVIDER TYF_REGISTER(TYF_BOARD_UART_BASE + 0x08u) /* USART_BRR */
#define UART_CONTROL TYF_REGISTER(TYF_BOARD_UART_BASE + 0x0cu)      /* USART_CR1 */
#define UART_CONTROL_ENABLE (1u << 13)                              /* UE */

/** Reading status and then data has cleared it. */
static inline void tyf_stm32_clear_overrun(void) {
}

#endif
