/** Where STM32U5 differs from other STM32: the newer USART. */
#ifndef TYF_BOARDS_STM32_CHIP_H
#define TYF_BOARDS_STM32_CHIP_H

#include "cortex_m.h"

#define UART_CONTROL TYF_REGISTER(TYF_BOARD_UART_BASE + 0x00u)      /* USART_CR1 */
#define UART_CONTROL_ENABLE (1u << 0)                               /* UE */
#define UART_BAUD_DIVIDER TYF_REGISTER(TYF_BOARD_UART_BASE + 0x0cu) /* USART_BRR */
#define UART_STATUS TYF_REGISTER(TYF_BOARD_UART_BASE + 0x1cu)       /* USART_ISR */
#define UART_CLEAR TYF_REGISTER(TYF_BOARD_UART_BASE + 0x20u)        /* USART_ICR */
#define UART_RX_DATA TYF_REGISTER(TYF_BOARD_UART_BASE + 0x24u)      /* USART_RDR */
#define UART_TX_DATA TYF_REGISTER(TYF_BOARD_UART_BASE + 0x28u)      /* USART_TDR */

static inline void tyf_stm32_clear_overrun(void) {
    UART_CLEAR = 1u << 3; /* ORECF */
}

#endif
