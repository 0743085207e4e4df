/**
 * What a test build says of each record before the ring has it: a trace that no fault behind the board can change.
 *
 *     tyf_telemetry_witness_start();                              // once a boot
 *     tyf_telemetry_witness_record(header, output, output_bytes); // then the record may enter the ring
 *
 * Text, one line each: "\n" and TYF_TELEMETRY_WITNESS_START at a boot, which ends a line that a kill tore; then
 * boot_id, seq and the CRC-32 of the record's bytes, each as 8 hexadecimal digits, with spaces between.
 */
#ifndef TYF_TELEMETRY_SRC_WITNESS_H
#define TYF_TELEMETRY_SRC_WITNESS_H

#include <stdint.h>

/** It also marks a program as a test build: nobody signs an image that holds it. */
#define TYF_TELEMETRY_WITNESS_START "tyf-witness-build 1"

void tyf_telemetry_witness_start(void);

/**
 * @param header  TYF_RECORD_HEADER_BYTES of the record
 * @param output  the rest of it
 */
void tyf_telemetry_witness_record(const uint8_t *header, const uint8_t *output, uint32_t output_bytes);

#endif
