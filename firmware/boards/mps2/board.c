/* Interrupt table and start of an MPS2 or MPS3 board. */

#include "cortex_m.h"
#include "mps2.h"
#include "tyf/core/config.h"
#include "tyf/port/system.h"

__attribute__((section(".isr_vector.board"), used)) static const tyf_cortex_m_handler board_vectors[48] = {
    [TYF_BOARD_UART_RX_IRQ] = tyf_mps2_uart_rx_interrupt, [TYF_BOARD_UART_TX_IRQ] = tyf_mps2_uart_tx_interrupt,
#if TYF_CFG_BLE
    [TYF_BOARD_HCI_RX_IRQ] = tyf_mps2_hci_rx_interrupt,   [TYF_BOARD_HCI_TX_IRQ] = tyf_mps2_hci_tx_interrupt,
#endif
    [TYF_BOARD_WAKE_TIMER_IRQ] = tyf_mps2_wake_interrupt,
};

const char *tyf_port_board(void) {
    return TYF_BOARD_NAME;
}

void tyf_port_start(void) {
    tyf_mps2_time_start();
    tyf_mps2_uart_start();
#if TYF_CFG_BLE
    tyf_mps2_hci_start();
#endif
    tyf_port_watchdog_start(TYF_BOARD_WATCHDOG_TIMEOUT_S);
}
