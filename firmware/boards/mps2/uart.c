/* The console: received bytes go by interrupt into a ring; sending waits without burning board time. */

#include <stdint.h>

#include "cmsdk_uart.h"
#include "cortex_m.h"
#include "mps2.h"
#include "ring.h"
#include "tyf/port/system.h"
#include "tyf/port/uart.h"

#define BASE TYF_BOARD_UART_BASE

void tyf_board_uart_receive(void) {
    cmsdk_uart_receive(BASE, &tyf_uart_console);
}

void tyf_mps2_uart_rx_interrupt(void) {
    tyf_board_uart_receive();
}

void tyf_mps2_uart_tx_interrupt(void) {
    CMSDK_INTERRUPTS(BASE) = CMSDK_INTERRUPT_TX; /* its only purpose is to end the sleep in wait_for_room() */
}

void tyf_mps2_uart_start(void) {
    tyf_uart_ring_clear(&tyf_uart_console);
    cmsdk_uart_start(BASE, TYF_BOARD_UART_BAUD);
    tyf_cortex_m_enable_irq(TYF_BOARD_UART_RX_IRQ);
    tyf_cortex_m_enable_irq(TYF_BOARD_UART_TX_IRQ);
}

/* Sleeps: busy waiting would let an emulated board's time, and its watchdog, run far ahead of the host's. */
static void wait_for_room(void) {
    uint32_t masked = tyf_cortex_m_mask();
    CMSDK_CTRL(BASE) = CMSDK_CTRL(BASE) | CMSDK_CTRL_TX_INTERRUPT;
    while (CMSDK_STATE(BASE) & CMSDK_TX_FULL) {
        tyf_port_watchdog_feed();
        tyf_cortex_m_wait();
        tyf_cortex_m_unmask(masked); /* let the interrupt that ended the sleep run */
        masked = tyf_cortex_m_mask();
    }
    CMSDK_CTRL(BASE) = CMSDK_CTRL(BASE) & ~CMSDK_CTRL_TX_INTERRUPT;
    tyf_cortex_m_unmask(masked);
}

void tyf_port_uart_write(const uint8_t *data, uint32_t bytes) {
    for (uint32_t i = 0; i < bytes; i++) {
        if (CMSDK_STATE(BASE) & CMSDK_TX_FULL) {
            wait_for_room();
        }
        CMSDK_DATA(BASE) = data[i];
    }
}
