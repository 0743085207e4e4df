/* Interrupt table and start of a board with an RP2040. The second core stays where the ROM parked it. */

#include "cortex_m.h"
#include "rp2040.h"
#include "tyf/core/config.h"
#include "tyf/port/system.h"

__attribute__((section(".isr_vector.board"), used)) static const tyf_cortex_m_handler board_vectors[TYF_BOARD_IRQS] = {
    [TYF_BOARD_UART_IRQ] = tyf_rp2040_uart_interrupt,
#if TYF_CFG_BLE
    [TYF_BOARD_HCI_IRQ] = tyf_rp2040_hci_interrupt,
#endif
    [TYF_BOARD_WAKE_TIMER_IRQ] = tyf_rp2040_wake_interrupt,
};

const char *tyf_port_board(void) {
    return TYF_BOARD_NAME;
}

void tyf_port_start(void) {
    tyf_rp2040_watchdog_start(); /* first: a clock that does not come up ends in a reset and another try */
    tyf_rp2040_clock_start();
    tyf_rp2040_time_start();
    tyf_rp2040_uart_start();
#if TYF_CFG_BLE
    tyf_rp2040_hci_start();
#endif
}
