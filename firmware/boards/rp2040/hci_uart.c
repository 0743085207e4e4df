/* RP2040's other UART, to a Bluetooth controller, with RTS and CTS: interrupts fill one ring and empty the other. While
 * there is no room, the FIFO fills and its RTS holds the controller back. */

#include "hci.h"

#include <stdint.h>

#include "cortex_m.h"
#include "pl011.h"
#include "rp2040.h"
#include "tyf/core/config.h"

#if TYF_CFG_BLE

#define BASE TYF_BOARD_HCI_BASE

void tyf_board_hci_receive(void) {
    pl011_receive(BASE, &tyf_uart_hci_received);
}

/* The interrupt of a FIFO with room is on exactly while the ring waits for it. */
void tyf_board_hci_send(void) {
    PL011_CLEAR(BASE) = PL011_INTERRUPT_TX;
    while (!tyf_uart_ring_is_empty(&tyf_uart_hci_to_send)) {
        if (PL011_FLAGS(BASE) & PL011_TX_FULL) {
            PL011_INTERRUPTS(BASE) = PL011_INTERRUPTS(BASE) | PL011_INTERRUPT_TX;
            return;
        }
        PL011_DATA(BASE) = tyf_uart_ring_take(&tyf_uart_hci_to_send);
    }
    PL011_INTERRUPTS(BASE) = PL011_INTERRUPTS(BASE) & ~PL011_INTERRUPT_TX;
}

void tyf_rp2040_hci_interrupt(void) {
    tyf_board_hci_send();
    tyf_board_hci_receive();
}

void tyf_rp2040_hci_start(void) {
    tyf_uart_ring_clear(&tyf_uart_hci_received);
    tyf_uart_ring_clear(&tyf_uart_hci_to_send);
    pl011_connect(TYF_BOARD_HCI_TX_PIN);
    pl011_connect(TYF_BOARD_HCI_RTS_PIN);
    pl011_connect_input(TYF_BOARD_HCI_RX_PIN);
    pl011_connect_input(TYF_BOARD_HCI_CTS_PIN);
    pl011_start(BASE, PL011_DIVIDER_64THS(TYF_BOARD_HCI_CLOCK_HZ, TYF_BOARD_HCI_BAUD), PL011_HANDSHAKE);
    tyf_cortex_m_enable_irq(TYF_BOARD_HCI_IRQ);
}

#endif
