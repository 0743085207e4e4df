/**
 * Integers in byte strings, without casts: little-endian for our own layouts, big-endian for SMP.
 *
 *     tyf_put_u32_le(record + TYF_RECORD_SEQ_OFFSET, seq);
 *     uint32_t seq = tyf_get_u32_le(record + TYF_RECORD_SEQ_OFFSET);
 */
#ifndef TYF_CORE_BYTES_H
#define TYF_CORE_BYTES_H

#include <stdint.h>

static inline void tyf_put_u16_le(uint8_t *bytes, uint16_t value) {
    bytes[0] = (uint8_t)value;
    bytes[1] = (uint8_t)(value >> 8);
}

static inline void tyf_put_u32_le(uint8_t *bytes, uint32_t value) {
    tyf_put_u16_le(bytes, (uint16_t)value);
    tyf_put_u16_le(bytes + 2, (uint16_t)(value >> 16));
}

static inline void tyf_put_u64_le(uint8_t *bytes, uint64_t value) {
    tyf_put_u32_le(bytes, (uint32_t)value);
    tyf_put_u32_le(bytes + 4, (uint32_t)(value >> 32));
}

static inline uint16_t tyf_get_u16_le(const uint8_t *bytes) {
    return (uint16_t)(bytes[0] | (uint32_t)bytes[1] << 8);
}

static inline uint32_t tyf_get_u32_le(const uint8_t *bytes) {
    return tyf_get_u16_le(bytes) | (uint32_t)tyf_get_u16_le(bytes + 2) << 16;
}

static inline void tyf_put_u16_be(uint8_t *bytes, uint16_t value) {
    bytes[0] = (uint8_t)(value >> 8);
    bytes[1] = (uint8_t)value;
}

static inline void tyf_put_u32_be(uint8_t *bytes, uint32_t value) {
    tyf_put_u16_be(bytes, (uint16_t)(value >> 16));
    tyf_put_u16_be(bytes + 2, (uint16_t)value);
}

static inline uint16_t tyf_get_u16_be(const uint8_t *bytes) {
    return (uint16_t)((uint32_t)bytes[0] << 8 | bytes[1]);
}

static inline uint32_t tyf_get_u32_be(const uint8_t *bytes) {
    return (uint32_t)tyf_get_u16_be(bytes) << 16 | tyf_get_u16_be(bytes + 2);
}

/** Clear what must not stay in memory, as a key: unlike memset before the end of a scope, no compiler drops it. */
static inline void tyf_wipe(void *data, uint32_t bytes) {
    volatile uint8_t *at = data;
    while (bytes-- > 0) {
        *at++ = 0;
    }
}

#endif
