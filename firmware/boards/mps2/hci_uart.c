/* The UART to a Bluetooth controller: interrupts fill one ring and empty the other. It has no RTS and CTS; QEMU holds
 * the controller back while a byte waits in the UART. */

#include "hci.h"

#include <stdint.h>

#include "cmsdk_uart.h"
#include "cortex_m.h"
#include "mps2.h"
#include "tyf/core/config.h"

#if TYF_CFG_BLE

#define BASE TYF_BOARD_HCI_BASE

void tyf_board_hci_receive(void) {
    cmsdk_uart_receive(BASE, &tyf_uart_hci_received);
}

/* The interrupt of a sent byte is on exactly while the ring waits for it. */
void tyf_board_hci_send(void) {
    CMSDK_INTERRUPTS(BASE) = CMSDK_INTERRUPT_TX;
    while (!tyf_uart_ring_is_empty(&tyf_uart_hci_to_send)) {
        if (CMSDK_STATE(BASE) & CMSDK_TX_FULL) {
            CMSDK_CTRL(BASE) = CMSDK_CTRL(BASE) | CMSDK_CTRL_TX_INTERRUPT;
            if (CMSDK_STATE(BASE) & CMSDK_TX_FULL) {
                return;
            }
        }
        CMSDK_DATA(BASE) = tyf_uart_ring_take(&tyf_uart_hci_to_send);
    }
    CMSDK_CTRL(BASE) = CMSDK_CTRL(BASE) & ~CMSDK_CTRL_TX_INTERRUPT;
}

void tyf_mps2_hci_rx_interrupt(void) {
    tyf_board_hci_receive();
}

void tyf_mps2_hci_tx_interrupt(void) {
    tyf_board_hci_send();
}

void tyf_mps2_hci_start(void) {
    tyf_uart_ring_clear(&tyf_uart_hci_received);
    tyf_uart_ring_clear(&tyf_uart_hci_to_send);
    cmsdk_uart_start(BASE, TYF_BOARD_HCI_BAUD);
    tyf_cortex_m_enable_irq(TYF_BOARD_HCI_RX_IRQ);
    tyf_cortex_m_enable_irq(TYF_BOARD_HCI_TX_IRQ);
}

#endif
