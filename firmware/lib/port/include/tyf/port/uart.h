/**
 * The console UART that a board offers.
 *
 *     uint8_t bytes[64];
 *     uint32_t count = tyf_port_uart_read(bytes, sizeof bytes);
 *     tyf_port_uart_write(bytes, count);
 */
#ifndef TYF_PORT_UART_H
#define TYF_PORT_UART_H

#include <stdint.h>

/**
 * Take received bytes; never waits. An interrupt collects them in a ring of TYF_CFG_UART_RX_BYTES.
 *
 * @return bytes written to data, 0 when none have arrived
 */
uint32_t tyf_port_uart_read(uint8_t *data, uint32_t capacity);

/** Send bytes; waits while the host takes none, with the watchdog fed. Not for interrupts. */
void tyf_port_uart_write(const uint8_t *data, uint32_t bytes);

#endif
