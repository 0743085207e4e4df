/* Interrupt table and start of a board with an STM32. */

#include "cortex_m.h"
#include "stm32.h"
#include "tyf/port/system.h"

__attribute__((section(".isr_vector.board"), used)) static const tyf_cortex_m_handler board_vectors[TYF_BOARD_IRQS] = {
    [TYF_BOARD_UART_IRQ] = tyf_stm32_uart_interrupt,
    [TYF_BOARD_WAKE_TIMER_IRQ] = tyf_stm32_wake_interrupt,
};

const char *tyf_port_board(void) {
    return TYF_BOARD_NAME;
}

void tyf_port_start(void) {
    tyf_stm32_watchdog_start(); /* first: a clock that does not come up ends in a reset and another try */
    tyf_stm32_clock_start();
    tyf_stm32_time_start();
    tyf_stm32_uart_start();
}
