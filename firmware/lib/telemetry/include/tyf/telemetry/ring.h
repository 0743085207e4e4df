/**
 * Ring of telemetry records (v1, docs/spec/wire.md). Each gets the next sequence number; when there is no room the
 * oldest make way and are counted. Reading frees nothing, so any number of readers can ask again.
 *
 *     static uint8_t memory[TYF_CFG_TELEMETRY_BYTES];
 *     static tyf_telemetry_ring ring;
 *     tyf_telemetry_ring_init(&ring, memory, sizeof memory);
 *     tyf_telemetry_ring_append(&ring, &fields, output, output_bytes);
 *
 *     tyf_telemetry_batch batch = tyf_telemetry_ring_read(&ring, since, max_records, reply, sizeof reply);
 *     since = batch.next;
 */
#ifndef TYF_TELEMETRY_RING_H
#define TYF_TELEMETRY_RING_H

#include <stdint.h>

#include "tyf/core/wire.h"

/** So many, and no more: a sequence number that came again would make two records one. At 1,000 a second, 49 days. */
#define TYF_TELEMETRY_MOST_RECORDS UINT32_MAX

/** Fields of a record that its producer knows; the ring adds version, size and seq. */
typedef struct {
    uint32_t boot_id;
    uint32_t stream;
    uint32_t sample_index;
    uint32_t latency_us;
    uint64_t uptime_us;
    uint8_t model_generation;
    uint8_t top;
} tyf_telemetry_fields;

/** What a reader got. */
typedef struct {
    uint32_t bytes; /**< of whole records written */
    uint32_t next;  /**< `since` of the next call */
    uint32_t lost;  /**< records between `since` and the oldest that the ring still holds */
} tyf_telemetry_batch;

/** Private fields; one writer, and readers that it may preempt but that do not preempt it. */
typedef struct {
    uint8_t *memory;
    uint32_t capacity;
    uint32_t oldest;     /* offset of the oldest record */
    uint32_t used;       /* bytes of all records held */
    uint32_t oldest_seq; /* sequence number of the oldest record */
    uint32_t next_seq;   /* of the next one to come; records held = next_seq - oldest_seq */
    uint32_t overwrites;
} tyf_telemetry_ring;

/**
 * Start empty, at sequence number 0.
 *
 * @param memory    must outlive the ring
 * @param capacity  at least TYF_RECORD_HEADER_BYTES + TYF_RECORD_MAX_OUTPUT_BYTES
 */
void tyf_telemetry_ring_init(tyf_telemetry_ring *ring, uint8_t *memory, uint32_t capacity);

/**
 * Append one inference record; none after TYF_TELEMETRY_MOST_RECORDS.
 *
 * @param output_bytes  0 .. TYF_RECORD_MAX_OUTPUT_BYTES
 */
void tyf_telemetry_ring_append(tyf_telemetry_ring *ring, const tyf_telemetry_fields *fields, const uint8_t *output,
                               uint32_t output_bytes);

/**
 * Copy whole records with seq >= since, oldest first.
 *
 * @param max_records  at most this many
 * @param[out] data    room for capacity bytes; records that do not fit wait for the next call, as do all when the
 * writer comes in between again and again
 */
tyf_telemetry_batch tyf_telemetry_ring_read(const tyf_telemetry_ring *ring, uint32_t since, uint32_t max_records,
                                            uint8_t *data, uint32_t capacity);

/** Records produced so far; also the sequence number of the next. */
uint32_t tyf_telemetry_ring_produced(const tyf_telemetry_ring *ring);

/** Records that made way for newer ones. */
uint32_t tyf_telemetry_ring_overwrites(const tyf_telemetry_ring *ring);

#endif
