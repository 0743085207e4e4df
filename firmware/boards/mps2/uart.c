/* CMSDK APB UART: received bytes go by interrupt into a ring; sending waits without burning board time. */

#include <stdint.h>

#include "cortex_m.h"
#include "mps2.h"
#include "ring.h"
#include "tyf/port/system.h"
#include "tyf/port/uart.h"

#define DATA TYF_REGISTER(TYF_BOARD_UART_BASE + 0x00u)
#define STATE TYF_REGISTER(TYF_BOARD_UART_BASE + 0x04u)
#define CTRL TYF_REGISTER(TYF_BOARD_UART_BASE + 0x08u)
#define INTERRUPTS TYF_REGISTER(TYF_BOARD_UART_BASE + 0x0cu)
#define BAUD_DIVIDER TYF_REGISTER(TYF_BOARD_UART_BASE + 0x10u)

#define STATE_TX_FULL 1u
#define STATE_RX_FULL 2u
#define CTRL_TX_RX 3u
#define CTRL_TX_INTERRUPT 4u
#define CTRL_RX_INTERRUPT 8u
#define INTERRUPT_TX 1u
#define INTERRUPT_RX 2u

/* Move what has arrived into the ring. With the ring full the byte stays in the UART, which holds the host back
 * where the link can (QEMU), and the interrupt stays off until there is room. Interrupts masked or in the handler. */
void tyf_board_uart_receive(void) {
    INTERRUPTS = INTERRUPT_RX; /* before draining: a byte that arrives in between raises it again */
    do {
        while (STATE & STATE_RX_FULL) {
            if (tyf_uart_ring_is_full(&tyf_uart_console)) {
                CTRL = CTRL & ~CTRL_RX_INTERRUPT;
                return;
            }
            tyf_uart_ring_put(&tyf_uart_console, (uint8_t)DATA);
        }
        CTRL = CTRL | CTRL_RX_INTERRUPT;
    } while (STATE & STATE_RX_FULL); /* a byte that came while the interrupt was off raises none */
}

void tyf_mps2_uart_rx_interrupt(void) {
    tyf_board_uart_receive();
}

void tyf_mps2_uart_tx_interrupt(void) {
    INTERRUPTS = INTERRUPT_TX; /* its only purpose is to end the sleep in wait_for_room() */
}

void tyf_mps2_uart_start(void) {
    tyf_uart_ring_clear(&tyf_uart_console);
    BAUD_DIVIDER = TYF_BOARD_CLOCK_HZ / TYF_BOARD_UART_BAUD;
    CTRL = CTRL_TX_RX | CTRL_RX_INTERRUPT;
    (void)DATA; /* what an emulator took while the UART was off comes with a read, or else not before more is sent */
    tyf_cortex_m_enable_irq(TYF_BOARD_UART_RX_IRQ);
    tyf_cortex_m_enable_irq(TYF_BOARD_UART_TX_IRQ);
}

/* Sleeps: busy waiting would let an emulated board's time, and its watchdog, run far ahead of the host's. */
static void wait_for_room(void) {
    uint32_t masked = tyf_cortex_m_mask();
    CTRL = CTRL | CTRL_TX_INTERRUPT;
    while (STATE & STATE_TX_FULL) {
        tyf_port_watchdog_feed();
        tyf_cortex_m_wait();
        tyf_cortex_m_unmask(masked); /* let the interrupt that ended the sleep run */
        masked = tyf_cortex_m_mask();
    }
    CTRL = CTRL & ~CTRL_TX_INTERRUPT;
    tyf_cortex_m_unmask(masked);
}

void tyf_port_uart_write(const uint8_t *data, uint32_t bytes) {
    for (uint32_t i = 0; i < bytes; i++) {
        if (STATE & STATE_TX_FULL) {
            wait_for_room();
        }
        DATA = data[i];
    }
}
