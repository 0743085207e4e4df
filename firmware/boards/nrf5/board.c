/* Interrupt table and start of a board with an nRF5 chip. */

#include "cortex_m.h"
#include "nrf5.h"
#include "tyf/port/system.h"

__attribute__((section(".isr_vector.board"), used)) static const tyf_cortex_m_handler board_vectors[TYF_BOARD_IRQS] = {
    [TYF_BOARD_UART_IRQ] = tyf_nrf5_uart_interrupt,
    [TYF_BOARD_WAKE_TIMER_IRQ] = tyf_nrf5_wake_interrupt,
};

const char *tyf_port_board(void) {
    return TYF_BOARD_NAME;
}

void tyf_port_start(void) {
    tyf_nrf5_watchdog_start();
    tyf_nrf5_clock_start();
    tyf_nrf5_time_start();
    tyf_nrf5_uart_start();
}
