/**
 * An Arm PL011 as the RP2040 has two of them, with 32 bytes of FIFO each way; base is TYF_BOARD_UART_BASE or
 * TYF_BOARD_HCI_BASE.
 *
 *     pl011_connect(TYF_BOARD_UART_TX_PIN);
 *     pl011_connect_input(TYF_BOARD_UART_RX_PIN);
 *     pl011_start(TYF_BOARD_UART_BASE, PL011_DIVIDER_64THS(TYF_BOARD_UART_CLOCK_HZ, TYF_BOARD_UART_BAUD), 0);
 */
#ifndef TYF_BOARDS_RP2040_PL011_H
#define TYF_BOARDS_RP2040_PL011_H

#include <stdint.h>

#include "cortex_m.h"
#include "ring.h"
#include "rp2040.h"

#define PL011_DATA(base) TYF_REGISTER((base) + 0x00u)       /* UARTDR */
#define PL011_FLAGS(base) TYF_REGISTER((base) + 0x18u)      /* UARTFR */
#define PL011_BAUD_WHOLE(base) TYF_REGISTER((base) + 0x24u) /* UARTIBRD */
#define PL011_BAUD_64THS(base) TYF_REGISTER((base) + 0x28u) /* UARTFBRD */
#define PL011_LINE(base) TYF_REGISTER((base) + 0x2cu)       /* UARTLCR_H; takes over the divider */
#define PL011_CONTROL(base) TYF_REGISTER((base) + 0x30u)    /* UARTCR */
#define PL011_INTERRUPTS(base) TYF_REGISTER((base) + 0x38u) /* UARTIMSC */
#define PL011_CLEAR(base) TYF_REGISTER((base) + 0x44u)      /* UARTICR */

#define PL011_RX_EMPTY (1u << 4)
#define PL011_TX_FULL (1u << 5)
#define PL011_8_BITS (3u << 5)
#define PL011_FIFO (1u << 4)
#define PL011_ON ((1u << 0) | (1u << 8) | (1u << 9)) /* UARTEN, TXE, RXE */
#define PL011_HANDSHAKE ((1u << 14) | (1u << 15))    /* RTSEN, CTSEN */
#define PL011_INTERRUPT_RX ((1u << 4) | (1u << 6))   /* half full, or something in it and nothing came for 32 bits */
#define PL011_INTERRUPT_TX (1u << 5)

#define PL011_DIVIDER_64THS(clock_hz, baud) ((4u * (clock_hz) + (baud) / 2u) / (baud))

static inline void pl011_connect(uint32_t pin) {
    TYF_REGISTER(RP2040_IO_BANK0 + 8u * pin + 4u) = 2u; /* GPIOn_CTRL: its UART */
}

/** An open pin reads as rest: to CTS, nobody there takes anything. */
static inline void pl011_connect_input(uint32_t pin) {
    TYF_REGISTER(RP2040_PADS_BANK0 + 4u * pin + 4u) = (1u << 6) | (1u << 3) | (1u << 1); /* GPIOn: IE, PUE, SCHMITT */
    pl011_connect(pin);
}

/** control: 0 or PL011_HANDSHAKE. */
static inline void pl011_start(uint32_t base, uint32_t divider_64ths, uint32_t control) {
    PL011_BAUD_WHOLE(base) = divider_64ths / 64u;
    PL011_BAUD_64THS(base) = divider_64ths % 64u;
    PL011_LINE(base) = PL011_8_BITS | PL011_FIFO;
    PL011_CONTROL(base) = PL011_ON | control;
    PL011_INTERRUPTS(base) = PL011_INTERRUPT_RX;
}

/** With the ring full the interrupt stays off until there is room; the FIFO holds what comes, up to 32 bytes. */
static inline void pl011_receive(uint32_t base, const tyf_uart_ring *ring) {
    while (!(PL011_FLAGS(base) & PL011_RX_EMPTY)) {
        if (tyf_uart_ring_is_full(ring)) {
            PL011_INTERRUPTS(base) = PL011_INTERRUPTS(base) & ~PL011_INTERRUPT_RX;
            return;
        }
        tyf_uart_ring_put(ring, (uint8_t)PL011_DATA(base));
    }
    PL011_CLEAR(base) = PL011_INTERRUPT_RX;
    PL011_INTERRUPTS(base) = PL011_INTERRUPTS(base) | PL011_INTERRUPT_RX;
}

#endif
