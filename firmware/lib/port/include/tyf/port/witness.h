/**
 * The trace of a test build (TYF_CFG_WITNESS): bytes that leave the board at once and cannot be taken back.
 *
 *     tyf_port_witness_write(line, sizeof line);
 */
#ifndef TYF_PORT_WITNESS_H
#define TYF_PORT_WITNESS_H

#include <stdint.h>

/** Send bytes; returns when all are out. From one context at a time. */
void tyf_port_witness_write(const uint8_t *data, uint32_t bytes);

#endif
