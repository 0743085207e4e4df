/* Interrupt table and start of a micro:bit. */

#include "cortex_m.h"
#include "microbit.h"
#include "tyf/port/system.h"

__attribute__((section(".isr_vector.board"), used)) static const tyf_cortex_m_handler board_vectors[32] = {
    [TYF_BOARD_UART_IRQ] = tyf_microbit_uart_interrupt,
    [TYF_BOARD_WAKE_TIMER_IRQ] = tyf_microbit_wake_interrupt,
};

const char *tyf_port_board(void) {
    return TYF_BOARD_NAME;
}

void tyf_port_start(void) {
    tyf_microbit_time_start();
    tyf_microbit_uart_start();
    tyf_microbit_watchdog_start();
}
