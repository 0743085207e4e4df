/**
 * Received bytes on their way from a UART's interrupt to the main loop: a ring of TYF_CFG_UART_RX_BYTES, and on top of
 * it tyf_port_uart_read() and tyf_port_idle(), which are the same on every board.
 *
 *     void interrupt(void) {
 *         while (byte_waits()) {
 *             if (tyf_uart_ring_is_full()) {
 *                 interrupt_off();
 *                 return;
 *             }
 *             tyf_uart_ring_put(take_byte());
 *         }
 *     }
 */
#ifndef TYF_BOARDS_UART_RING_H
#define TYF_BOARDS_UART_RING_H

#include <stdbool.h>
#include <stdint.h>

/** Forget what is in it. Interrupts masked, or before they are on. */
void tyf_uart_ring_clear(void);

/** Interrupts masked or in the handler. */
bool tyf_uart_ring_is_full(void);

/** Not when full. Interrupts masked or in the handler. */
void tyf_uart_ring_put(uint8_t byte);

/** The board's part: there is room again, take what the UART still holds. Called with interrupts masked. */
void tyf_board_uart_receive(void);

#endif
