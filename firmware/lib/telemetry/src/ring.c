#include "tyf/telemetry/ring.h"

#include <string.h>

void tyf_telemetry_ring_init(tyf_telemetry_ring *ring, uint8_t *memory, uint32_t capacity)
{
    memset(ring, 0, sizeof *ring);
    ring->memory = memory;
    ring->capacity = capacity;
}

static uint32_t wrap(const tyf_telemetry_ring *ring, uint32_t position)
{
    return position >= ring->capacity ? position - ring->capacity : position;
}

static void copy_in(tyf_telemetry_ring *ring, uint32_t position, const uint8_t *data, uint32_t bytes)
{
    const uint32_t until_end = ring->capacity - position;
    const uint32_t first = bytes < until_end ? bytes : until_end;
    memcpy(ring->memory + position, data, first);
    memcpy(ring->memory, data + first, bytes - first);
}

static void copy_out(const tyf_telemetry_ring *ring, uint32_t position, uint8_t *data, uint32_t bytes)
{
    const uint32_t until_end = ring->capacity - position;
    const uint32_t first = bytes < until_end ? bytes : until_end;
    memcpy(data, ring->memory + position, first);
    memcpy(data + first, ring->memory, bytes - first);
}

static uint32_t record_bytes_at(const tyf_telemetry_ring *ring, uint32_t position)
{
    const uint32_t low = ring->memory[wrap(ring, position + TYF_RECORD_RECORD_BYTES_OFFSET)];
    const uint32_t high = ring->memory[wrap(ring, position + TYF_RECORD_RECORD_BYTES_OFFSET + 1u)];
    return low | high << 8;
}

tyf_status tyf_telemetry_ring_append(tyf_telemetry_ring *ring, const uint8_t *record, uint32_t bytes)
{
    if (bytes > ring->capacity) {
        return TYF_ERR_TOO_LARGE;
    }
    while (ring->capacity - ring->used < bytes) {
        const uint32_t oldest = record_bytes_at(ring, ring->tail);
        ring->tail = wrap(ring, ring->tail + oldest);
        ring->used -= oldest;
        ring->first_seq++;
        ring->overwritten++;
    }
    copy_in(ring, wrap(ring, ring->tail + ring->used), record, bytes);
    ring->used += bytes;
    ring->next_seq++;
    return TYF_OK;
}

uint32_t tyf_telemetry_ring_read(const tyf_telemetry_ring *ring, uint32_t since, uint32_t max, uint8_t *data,
                                 uint32_t capacity, uint32_t *next, uint32_t *lost)
{
    *lost = since < ring->first_seq ? ring->first_seq - since : 0;
    uint32_t position = ring->tail;
    uint32_t seq = ring->first_seq;
    while (seq < since && seq < ring->next_seq) {
        position = wrap(ring, position + record_bytes_at(ring, position));
        seq++;
    }
    uint32_t written = 0;
    for (uint32_t count = 0; count < max && seq < ring->next_seq; count++) {
        const uint32_t bytes = record_bytes_at(ring, position);
        if (bytes > capacity - written) {
            break;
        }
        copy_out(ring, position, data + written, bytes);
        written += bytes;
        position = wrap(ring, position + bytes);
        seq++;
    }
    *next = seq;
    return written;
}
