/* RP2040's console: received bytes go by interrupt into a ring. */

#include <stdint.h>

#include "cortex_m.h"
#include "pl011.h"
#include "ring.h"
#include "rp2040.h"
#include "tyf/port/system.h"
#include "tyf/port/uart.h"

#define BASE TYF_BOARD_UART_BASE

void tyf_board_uart_receive(void) {
    pl011_receive(BASE, &tyf_uart_console);
}

void tyf_rp2040_uart_interrupt(void) {
    PL011_CLEAR(BASE) = PL011_INTERRUPT_TX; /* its only purpose is to end the sleep in wait_for_room() */
    tyf_board_uart_receive();
}

void tyf_rp2040_uart_start(void) {
    tyf_uart_ring_clear(&tyf_uart_console);
    pl011_connect(TYF_BOARD_UART_TX_PIN);
    pl011_connect_input(TYF_BOARD_UART_RX_PIN);
    pl011_start(BASE, PL011_DIVIDER_64THS(TYF_BOARD_UART_CLOCK_HZ, TYF_BOARD_UART_BAUD), 0);
    tyf_cortex_m_enable_irq(TYF_BOARD_UART_IRQ);
}

static void wait_for_room(void) {
    uint32_t masked = tyf_cortex_m_mask();
    PL011_INTERRUPTS(BASE) = PL011_INTERRUPTS(BASE) | PL011_INTERRUPT_TX;
    while (PL011_FLAGS(BASE) & PL011_TX_FULL) {
        tyf_port_watchdog_feed();
        tyf_cortex_m_wait();
        tyf_cortex_m_unmask(masked); /* let the interrupt that ended the sleep run */
        masked = tyf_cortex_m_mask();
    }
    PL011_INTERRUPTS(BASE) = PL011_INTERRUPTS(BASE) & ~PL011_INTERRUPT_TX;
    tyf_cortex_m_unmask(masked);
}

void tyf_port_uart_write(const uint8_t *data, uint32_t bytes) {
    for (uint32_t i = 0; i < bytes; i++) {
        if (PL011_FLAGS(BASE) & PL011_TX_FULL) {
            wait_for_room();
        }
        PL011_DATA(BASE) = data[i];
    }
}
