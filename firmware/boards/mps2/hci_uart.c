/* CMSDK APB UART to a Bluetooth controller: interrupts fill one ring and empty the other. It has no RTS and CTS; QEMU
 * holds the controller back while a byte waits in the UART. */

#include "hci.h"

#include <stdint.h>

#include "cortex_m.h"
#include "mps2.h"
#include "tyf/core/config.h"

#if TYF_CFG_BLE

#define DATA TYF_REGISTER(TYF_BOARD_HCI_BASE + 0x00u)
#define STATE TYF_REGISTER(TYF_BOARD_HCI_BASE + 0x04u)
#define CTRL TYF_REGISTER(TYF_BOARD_HCI_BASE + 0x08u)
#define INTERRUPTS TYF_REGISTER(TYF_BOARD_HCI_BASE + 0x0cu)
#define BAUD_DIVIDER TYF_REGISTER(TYF_BOARD_HCI_BASE + 0x10u)

#define STATE_TX_FULL 1u
#define STATE_RX_FULL 2u
#define CTRL_TX_RX 3u
#define CTRL_TX_INTERRUPT 4u
#define CTRL_RX_INTERRUPT 8u
#define INTERRUPT_TX 1u
#define INTERRUPT_RX 2u

/* As the console's (uart.c): acknowledged before draining, and off while there is no room. */
void tyf_board_hci_receive(void) {
    INTERRUPTS = INTERRUPT_RX;
    do {
        while (STATE & STATE_RX_FULL) {
            if (tyf_uart_ring_is_full(&tyf_uart_hci_received)) {
                CTRL = CTRL & ~CTRL_RX_INTERRUPT;
                return;
            }
            tyf_uart_ring_put(&tyf_uart_hci_received, (uint8_t)DATA);
        }
        CTRL = CTRL | CTRL_RX_INTERRUPT;
    } while (STATE & STATE_RX_FULL);
}

/* The interrupt of a sent byte is on exactly while the ring waits for it. */
void tyf_board_hci_send(void) {
    INTERRUPTS = INTERRUPT_TX;
    while (!tyf_uart_ring_is_empty(&tyf_uart_hci_to_send)) {
        if (STATE & STATE_TX_FULL) {
            CTRL = CTRL | CTRL_TX_INTERRUPT;
            if (STATE & STATE_TX_FULL) {
                return;
            }
        }
        DATA = tyf_uart_ring_take(&tyf_uart_hci_to_send);
    }
    CTRL = CTRL & ~CTRL_TX_INTERRUPT;
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
    BAUD_DIVIDER = TYF_BOARD_CLOCK_HZ / TYF_BOARD_HCI_BAUD;
    CTRL = CTRL_TX_RX | CTRL_RX_INTERRUPT;
    (void)DATA; /* as the console's */
    tyf_cortex_m_enable_irq(TYF_BOARD_HCI_RX_IRQ);
    tyf_cortex_m_enable_irq(TYF_BOARD_HCI_TX_IRQ);
}

#endif
