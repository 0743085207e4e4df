/**
 * The two checksums on our wires and in our memories.
 *
 *     uint16_t frame_crc = tyf_crc16_xmodem(0, message, message_bytes);    // SMP console frames
 *     uint32_t slot_crc = tyf_crc32(0, slot, slot_bytes);                  // NVM, as zlib's crc32
 *
 * Both continue: tyf_crc32(tyf_crc32(0, a, n), b, m) is the checksum of a followed by b.
 */
#ifndef TYF_CORE_CRC_H
#define TYF_CORE_CRC_H

#include <stddef.h>
#include <stdint.h>

/** CRC-16/XMODEM: polynomial 0x1021, not reflected, starts at 0. */
uint16_t tyf_crc16_xmodem(uint16_t crc, const void *data, size_t bytes);

/** CRC-32 of zlib: polynomial 0x04C11DB7 reflected, inverted in and out; start with 0. */
uint32_t tyf_crc32(uint32_t crc, const void *data, size_t bytes);

#endif
