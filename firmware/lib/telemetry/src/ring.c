#include "tyf/telemetry/ring.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "tyf/core/assert.h"
#include "tyf/core/bytes.h"
#include "tyf/core/config.h"
#include "witness.h"

void tyf_telemetry_ring_init(tyf_telemetry_ring *ring, uint8_t *memory, uint32_t capacity) {
    TYF_ASSERT(capacity >= TYF_RECORD_HEADER_BYTES + TYF_RECORD_MAX_OUTPUT_BYTES);
    *ring = (tyf_telemetry_ring){.memory = memory, .capacity = capacity};
#if TYF_CFG_WITNESS
    tyf_telemetry_witness_start();
#endif
}

static uint32_t wrap(const tyf_telemetry_ring *ring, uint32_t offset) {
    return offset < ring->capacity ? offset : offset - ring->capacity;
}

/* Copy out of the ring, across its end. */
static void copy_out(const tyf_telemetry_ring *ring, uint32_t offset, uint8_t *data, uint32_t bytes) {
    uint32_t to_end = ring->capacity - offset;
    uint32_t first = bytes < to_end ? bytes : to_end;
    memcpy(data, ring->memory + offset, first);
    memcpy(data + first, ring->memory, bytes - first);
}

/* Copy behind the newest byte; there is room. */
static void copy_in(tyf_telemetry_ring *ring, const uint8_t *data, uint32_t bytes) {
    uint32_t offset = wrap(ring, ring->oldest + ring->used);
    uint32_t to_end = ring->capacity - offset;
    uint32_t first = bytes < to_end ? bytes : to_end;
    memcpy(ring->memory + offset, data, first);
    memcpy(ring->memory, data + first, bytes - first);
    ring->used += bytes;
}

static uint32_t record_bytes_at(const tyf_telemetry_ring *ring, uint32_t offset) {
    uint8_t size[2];
    copy_out(ring, wrap(ring, offset + TYF_RECORD_RECORD_BYTES_OFFSET), size, sizeof size);
    return tyf_get_u16_le(size);
}

static void drop_oldest(tyf_telemetry_ring *ring) {
    uint32_t bytes = record_bytes_at(ring, ring->oldest);
    ring->oldest = wrap(ring, ring->oldest + bytes);
    ring->used -= bytes;
    ring->oldest_seq++;
    ring->overwrites++;
}

void tyf_telemetry_ring_append(tyf_telemetry_ring *ring, const tyf_telemetry_fields *fields, const uint8_t *output,
                               uint32_t output_bytes) {
    TYF_ASSERT(output_bytes <= TYF_RECORD_MAX_OUTPUT_BYTES);
    uint32_t record_bytes = TYF_RECORD_HEADER_BYTES + output_bytes;
    if (ring->next_seq == TYF_TELEMETRY_MOST_RECORDS) {
        return;
    }
    while (ring->capacity - ring->used < record_bytes) {
        drop_oldest(ring);
    }
    uint8_t header[TYF_RECORD_HEADER_BYTES] = {0};
    header[TYF_RECORD_VERSION_OFFSET] = TYF_RECORD_VERSION;
    header[TYF_RECORD_KIND_OFFSET] = TYF_RECORD_KIND_INFERENCE;
    tyf_put_u16_le(header + TYF_RECORD_RECORD_BYTES_OFFSET, (uint16_t)record_bytes);
    tyf_put_u32_le(header + TYF_RECORD_BOOT_ID_OFFSET, fields->boot_id);
    tyf_put_u32_le(header + TYF_RECORD_SEQ_OFFSET, ring->next_seq);
    tyf_put_u32_le(header + TYF_RECORD_STREAM_OFFSET, fields->stream);
    tyf_put_u32_le(header + TYF_RECORD_SAMPLE_INDEX_OFFSET, fields->sample_index);
    tyf_put_u32_le(header + TYF_RECORD_LATENCY_US_OFFSET, fields->latency_us);
    tyf_put_u64_le(header + TYF_RECORD_UPTIME_US_OFFSET, fields->uptime_us);
    header[TYF_RECORD_MODEL_GENERATION_OFFSET] = fields->model_generation;
    header[TYF_RECORD_TOP_OFFSET] = fields->top;
#if TYF_CFG_WITNESS
    tyf_telemetry_witness_record(header, output, output_bytes);
#endif
    copy_in(ring, header, sizeof header);
    copy_in(ring, output, output_bytes);
    ring->next_seq++;
}

/* How often a reader that the writer preempts starts over. Reading a frame takes less than a millisecond. */
#define MOST_TRIES 8

/* Every append changes next_seq. While that is as it was at the start, all that was read since belongs together: the
 * writer runs to its end before a reader goes on. */
static bool is_unchanged(const tyf_telemetry_ring *ring, uint32_t next_seq) {
    atomic_signal_fence(memory_order_seq_cst);
    return *(const volatile uint32_t *)&ring->next_seq == next_seq;
}

/* @return false when the writer came in between: what is in batch and data is worthless */
static bool try_to_read(const tyf_telemetry_ring *ring, uint32_t since, uint32_t max_records, uint8_t *data,
                        uint32_t capacity, tyf_telemetry_batch *batch) {
    const uint32_t next_seq = *(const volatile uint32_t *)&ring->next_seq;
    atomic_signal_fence(memory_order_seq_cst);
    const uint32_t oldest_seq = ring->oldest_seq;
    uint32_t offset = ring->oldest;
    if (!is_unchanged(ring, next_seq)) {
        return false;
    }
    *batch = (tyf_telemetry_batch){.next = since};
    if (since > next_seq) {
        batch->next = next_seq;
        return true;
    }
    if (since < oldest_seq) {
        batch->lost = oldest_seq - since;
        batch->next = oldest_seq;
    }
    uint32_t count = 0;
    for (uint32_t seq = oldest_seq; seq != next_seq && count < max_records; seq++) {
        const uint32_t bytes = record_bytes_at(ring, offset);
        if (!is_unchanged(ring, next_seq)) {
            return false; /* bytes may be anything */
        }
        if (seq >= batch->next) {
            if (bytes > capacity - batch->bytes) {
                break;
            }
            copy_out(ring, offset, data + batch->bytes, bytes);
            batch->bytes += bytes;
            batch->next = seq + 1u;
            count++;
        }
        offset = wrap(ring, offset + bytes);
    }
    return is_unchanged(ring, next_seq);
}

tyf_telemetry_batch tyf_telemetry_ring_read(const tyf_telemetry_ring *ring, uint32_t since, uint32_t max_records,
                                            uint8_t *data, uint32_t capacity) {
    tyf_telemetry_batch batch;
    for (int i = 0; i < MOST_TRIES; i++) {
        if (try_to_read(ring, since, max_records, data, capacity, &batch)) {
            return batch;
        }
    }
    return (tyf_telemetry_batch){.next = since};
}

uint32_t tyf_telemetry_ring_produced(const tyf_telemetry_ring *ring) {
    return ring->next_seq;
}

uint32_t tyf_telemetry_ring_overwrites(const tyf_telemetry_ring *ring) {
    return ring->overwrites;
}
