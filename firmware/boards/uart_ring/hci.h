/**
 * The two rings of the UART to a Bluetooth controller, TYF_CFG_HCI_RX_BYTES and TYF_CFG_HCI_TX_BYTES, and what a board
 * does for them. With TYF_CFG_BLE 0 there are none.
 */
#ifndef TYF_BOARDS_UART_HCI_H
#define TYF_BOARDS_UART_HCI_H

#include "ring.h"

extern const tyf_uart_ring tyf_uart_hci_received, tyf_uart_hci_to_send;

/** The board's part: there is room in the one, take what the UART still holds. Called with interrupts masked. */
void tyf_board_hci_receive(void);

/** The board's part: there is something in the other, send it by interrupt. Called with interrupts masked. */
void tyf_board_hci_send(void);

#endif
