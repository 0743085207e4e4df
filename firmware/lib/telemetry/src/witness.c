#include "witness.h"

#include "tyf/core/config.h"

#if TYF_CFG_WITNESS

#include "tyf/core/bytes.h"
#include "tyf/core/crc.h"
#include "tyf/core/wire.h"
#include "tyf/port/witness.h"

#define DIGITS 8u
#define LINE_BYTES (3u * (DIGITS + 1u))

static void put_hex(uint8_t *text, uint32_t value, uint8_t after) {
    for (uint32_t i = 0; i < DIGITS; i++) {
        text[i] = (uint8_t)"0123456789abcdef"[value >> (4u * (DIGITS - 1u - i)) & 15u];
    }
    text[DIGITS] = after;
}

void tyf_telemetry_witness_start(void) {
    static const uint8_t text[] = "\n" TYF_TELEMETRY_WITNESS_START "\n";
    tyf_port_witness_write(text, sizeof text - 1u);
}

void tyf_telemetry_witness_record(const uint8_t *header, const uint8_t *output, uint32_t output_bytes) {
    const uint32_t crc = tyf_crc32(tyf_crc32(0, header, TYF_RECORD_HEADER_BYTES), output, output_bytes);
    uint8_t line[LINE_BYTES];
    put_hex(line, tyf_get_u32_le(header + TYF_RECORD_BOOT_ID_OFFSET), ' ');
    put_hex(line + DIGITS + 1u, tyf_get_u32_le(header + TYF_RECORD_SEQ_OFFSET), ' ');
    put_hex(line + 2u * (DIGITS + 1u), crc, '\n');
    tyf_port_witness_write(line, sizeof line);
}

#endif
