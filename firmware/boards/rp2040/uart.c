/* RP2040 UART, an Arm PL011 with 32 bytes of FIFO each way: received bytes go by interrupt into a ring. */

#include <stdint.h>

#include "cortex_m.h"
#include "ring.h"
#include "rp2040.h"
#include "tyf/port/system.h"
#include "tyf/port/uart.h"

#define DATA TYF_REGISTER(TYF_BOARD_UART_BASE + 0x00u)       /* UARTDR */
#define FLAGS TYF_REGISTER(TYF_BOARD_UART_BASE + 0x18u)      /* UARTFR */
#define BAUD_WHOLE TYF_REGISTER(TYF_BOARD_UART_BASE + 0x24u) /* UARTIBRD */
#define BAUD_64THS TYF_REGISTER(TYF_BOARD_UART_BASE + 0x28u) /* UARTFBRD */
#define LINE TYF_REGISTER(TYF_BOARD_UART_BASE + 0x2cu)       /* UARTLCR_H; takes over the divider */
#define CONTROL TYF_REGISTER(TYF_BOARD_UART_BASE + 0x30u)    /* UARTCR */
#define INTERRUPTS TYF_REGISTER(TYF_BOARD_UART_BASE + 0x38u) /* UARTIMSC */
#define CLEAR TYF_REGISTER(TYF_BOARD_UART_BASE + 0x44u)      /* UARTICR */

#define FLAG_RX_EMPTY (1u << 4)
#define FLAG_TX_FULL (1u << 5)
#define LINE_8_BITS (3u << 5)
#define LINE_FIFO (1u << 4)
#define CONTROL_ON ((1u << 0) | (1u << 8) | (1u << 9)) /* UARTEN, TXE, RXE */
#define INTERRUPT_RX ((1u << 4) | (1u << 6))           /* half full, or something in it and nothing came for 32 bits */
#define INTERRUPT_TX (1u << 5)

#define PIN_CTRL(pin) TYF_REGISTER(RP2040_IO_BANK0 + 8u * (pin) + 4u)  /* GPIOn_CTRL */
#define PIN_PAD(pin) TYF_REGISTER(RP2040_PADS_BANK0 + 4u * (pin) + 4u) /* GPIOn */
#define PIN_CTRL_UART 2u
#define PAD_INPUT_PULLED_UP ((1u << 6) | (1u << 3) | (1u << 1)) /* IE, PUE, SCHMITT: an open pin reads as rest */

#define DIVIDER_64THS ((4u * TYF_BOARD_UART_CLOCK_HZ + TYF_BOARD_UART_BAUD / 2u) / TYF_BOARD_UART_BAUD)

/* With the ring full the interrupt stays off until there is room; the FIFO holds what comes, up to 32 bytes. */
void tyf_board_uart_receive(void) {
    while (!(FLAGS & FLAG_RX_EMPTY)) {
        if (tyf_uart_ring_is_full(&tyf_uart_console)) {
            INTERRUPTS = INTERRUPTS & ~INTERRUPT_RX;
            return;
        }
        tyf_uart_ring_put(&tyf_uart_console, (uint8_t)DATA);
    }
    CLEAR = INTERRUPT_RX;
    INTERRUPTS = INTERRUPTS | INTERRUPT_RX;
}

void tyf_rp2040_uart_interrupt(void) {
    CLEAR = INTERRUPT_TX; /* its only purpose is to end the sleep in wait_for_room() */
    tyf_board_uart_receive();
}

void tyf_rp2040_uart_start(void) {
    tyf_uart_ring_clear(&tyf_uart_console);
    PIN_PAD(TYF_BOARD_UART_RX_PIN) = PAD_INPUT_PULLED_UP;
    PIN_CTRL(TYF_BOARD_UART_TX_PIN) = PIN_CTRL_UART;
    PIN_CTRL(TYF_BOARD_UART_RX_PIN) = PIN_CTRL_UART;
    BAUD_WHOLE = DIVIDER_64THS / 64u;
    BAUD_64THS = DIVIDER_64THS % 64u;
    LINE = LINE_8_BITS | LINE_FIFO;
    CONTROL = CONTROL_ON;
    INTERRUPTS = INTERRUPT_RX;
    tyf_cortex_m_enable_irq(TYF_BOARD_UART_IRQ);
}

static void wait_for_room(void) {
    uint32_t masked = tyf_cortex_m_mask();
    INTERRUPTS = INTERRUPTS | INTERRUPT_TX;
    while (FLAGS & FLAG_TX_FULL) {
        tyf_port_watchdog_feed();
        tyf_cortex_m_wait();
        tyf_cortex_m_unmask(masked); /* let the interrupt that ended the sleep run */
        masked = tyf_cortex_m_mask();
    }
    INTERRUPTS = INTERRUPTS & ~INTERRUPT_TX;
    tyf_cortex_m_unmask(masked);
}

void tyf_port_uart_write(const uint8_t *data, uint32_t bytes) {
    for (uint32_t i = 0; i < bytes; i++) {
        if (FLAGS & FLAG_TX_FULL) {
            wait_for_room();
        }
        DATA = data[i];
    }
}
