/**
 * The UART to a Bluetooth controller, which speaks HCI in packets of type H4. On boards that have one (TYF_CFG_BLE).
 *
 *     uint8_t bytes[64];
 *     uint32_t count = tyf_port_hci_read(bytes, sizeof bytes);
 *     sent += tyf_port_hci_write(reset + sent, sizeof reset - sent);
 */
#ifndef TYF_PORT_HCI_H
#define TYF_PORT_HCI_H

#include <stdint.h>

/**
 * Take received bytes; never waits. An interrupt collects them in a ring of TYF_CFG_HCI_RX_BYTES.
 *
 * @return bytes written to data, 0 when none have arrived
 */
uint32_t tyf_port_hci_read(uint8_t *data, uint32_t capacity);

/**
 * Send bytes; never waits: an interrupt sends what lies in a ring of TYF_CFG_HCI_TX_BYTES.
 *
 * @return bytes taken, as many as had room
 */
uint32_t tyf_port_hci_write(const uint8_t *data, uint32_t bytes);

#endif
