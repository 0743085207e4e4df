/* RP2040's other UART, to a Bluetooth controller, with RTS and CTS: interrupts fill one ring and empty the other. While
 * there is no room, the FIFO fills and its RTS holds the controller back. */

#include "hci.h"

#include <stdint.h>

#include "cortex_m.h"
#include "rp2040.h"
#include "tyf/core/config.h"

#if TYF_CFG_BLE

#define DATA TYF_REGISTER(TYF_BOARD_HCI_BASE + 0x00u)       /* UARTDR */
#define FLAGS TYF_REGISTER(TYF_BOARD_HCI_BASE + 0x18u)      /* UARTFR */
#define BAUD_WHOLE TYF_REGISTER(TYF_BOARD_HCI_BASE + 0x24u) /* UARTIBRD */
#define BAUD_64THS TYF_REGISTER(TYF_BOARD_HCI_BASE + 0x28u) /* UARTFBRD */
#define LINE TYF_REGISTER(TYF_BOARD_HCI_BASE + 0x2cu)       /* UARTLCR_H; takes over the divider */
#define CONTROL TYF_REGISTER(TYF_BOARD_HCI_BASE + 0x30u)    /* UARTCR */
#define INTERRUPTS TYF_REGISTER(TYF_BOARD_HCI_BASE + 0x38u) /* UARTIMSC */
#define CLEAR TYF_REGISTER(TYF_BOARD_HCI_BASE + 0x44u)      /* UARTICR */

#define FLAG_RX_EMPTY (1u << 4)
#define FLAG_TX_FULL (1u << 5)
#define LINE_8_BITS (3u << 5)
#define LINE_FIFO (1u << 4)
#define CONTROL_ON ((1u << 0) | (1u << 8) | (1u << 9)) /* UARTEN, TXE, RXE */
#define CONTROL_HANDSHAKE ((1u << 14) | (1u << 15))    /* RTSEN, CTSEN */
#define INTERRUPT_RX ((1u << 4) | (1u << 6))           /* half full, or something in it and nothing came for 32 bits */
#define INTERRUPT_TX (1u << 5)

#define PIN_CTRL(pin) TYF_REGISTER(RP2040_IO_BANK0 + 8u * (pin) + 4u)  /* GPIOn_CTRL */
#define PIN_PAD(pin) TYF_REGISTER(RP2040_PADS_BANK0 + 4u * (pin) + 4u) /* GPIOn */
#define PIN_CTRL_UART 2u
#define PAD_INPUT_PULLED_UP ((1u << 6) | (1u << 3) | (1u << 1)) /* IE, PUE, SCHMITT: an open pin reads as rest */

#define DIVIDER_64THS ((4u * TYF_BOARD_HCI_CLOCK_HZ + TYF_BOARD_HCI_BAUD / 2u) / TYF_BOARD_HCI_BAUD)

void tyf_board_hci_receive(void) {
    while (!(FLAGS & FLAG_RX_EMPTY)) {
        if (tyf_uart_ring_is_full(&tyf_uart_hci_received)) {
            INTERRUPTS = INTERRUPTS & ~INTERRUPT_RX;
            return;
        }
        tyf_uart_ring_put(&tyf_uart_hci_received, (uint8_t)DATA);
    }
    CLEAR = INTERRUPT_RX;
    INTERRUPTS = INTERRUPTS | INTERRUPT_RX;
}

/* The interrupt of a FIFO with room is on exactly while the ring waits for it. */
void tyf_board_hci_send(void) {
    CLEAR = INTERRUPT_TX;
    while (!tyf_uart_ring_is_empty(&tyf_uart_hci_to_send)) {
        if (FLAGS & FLAG_TX_FULL) {
            INTERRUPTS = INTERRUPTS | INTERRUPT_TX;
            return;
        }
        DATA = tyf_uart_ring_take(&tyf_uart_hci_to_send);
    }
    INTERRUPTS = INTERRUPTS & ~INTERRUPT_TX;
}

void tyf_rp2040_hci_interrupt(void) {
    tyf_board_hci_send();
    tyf_board_hci_receive();
}

void tyf_rp2040_hci_start(void) {
    tyf_uart_ring_clear(&tyf_uart_hci_received);
    tyf_uart_ring_clear(&tyf_uart_hci_to_send);
    PIN_PAD(TYF_BOARD_HCI_RX_PIN) = PAD_INPUT_PULLED_UP;
    PIN_PAD(TYF_BOARD_HCI_CTS_PIN) = PAD_INPUT_PULLED_UP; /* 1: nobody there takes anything */
    PIN_CTRL(TYF_BOARD_HCI_TX_PIN) = PIN_CTRL_UART;
    PIN_CTRL(TYF_BOARD_HCI_RX_PIN) = PIN_CTRL_UART;
    PIN_CTRL(TYF_BOARD_HCI_CTS_PIN) = PIN_CTRL_UART;
    PIN_CTRL(TYF_BOARD_HCI_RTS_PIN) = PIN_CTRL_UART;
    BAUD_WHOLE = DIVIDER_64THS / 64u;
    BAUD_64THS = DIVIDER_64THS % 64u;
    LINE = LINE_8_BITS | LINE_FIFO;
    CONTROL = CONTROL_ON | CONTROL_HANDSHAKE;
    INTERRUPTS = INTERRUPT_RX;
    tyf_cortex_m_enable_irq(TYF_BOARD_HCI_IRQ);
}

#endif
