/**
 * Ring of telemetry records (docs/spec/wire.md) with sequence numbers. Reading frees nothing; a new record overwrites
 * the oldest ones and counts them.
 *
 *     static uint8_t memory[TYF_CFG_TELEMETRY_BYTES];
 *     static tyf_telemetry_ring ring;
 *
 *     tyf_telemetry_ring_init(&ring, memory, sizeof memory);
 *     tyf_telemetry_ring_append(&ring, record, record_bytes);
 *     uint32_t bytes = tyf_telemetry_ring_read(&ring, since, 50, buffer, sizeof buffer, &next, &lost);
 */
#ifndef TYF_TELEMETRY_RING_H
#define TYF_TELEMETRY_RING_H

#include <stdint.h>

#include "tyf/core/wire.h"

/** Private fields but next_seq and overwritten. */
typedef struct {
    uint8_t *memory;
    uint32_t capacity;
    uint32_t tail;        /**< where the oldest record starts */
    uint32_t used;
    uint32_t first_seq;   /**< seq of the oldest record */
    uint32_t next_seq;    /**< seq that the next record must carry; also how many were appended */
    uint32_t overwritten; /**< records that had to go */
} tyf_telemetry_ring;

/** Start empty, at seq 0. memory must outlive the ring; capacity in [2048, 2^30]. */
void tyf_telemetry_ring_init(tyf_telemetry_ring *ring, uint8_t *memory, uint32_t capacity);

/**
 * Append a record whose header is complete and whose seq is ring->next_seq.
 *
 * @return TYF_OK, or TYF_ERR_TOO_LARGE when the record is larger than the whole ring (nothing changes)
 */
tyf_status tyf_telemetry_ring_append(tyf_telemetry_ring *ring, const uint8_t *record, uint32_t bytes);

/**
 * Copy whole records with seq >= since, oldest first.
 *
 * @param since      first seq wanted; beyond next_seq: nothing is copied
 * @param max        most records to copy
 * @param data       at most capacity bytes are written
 * @param[out] next  since of the next call
 * @param[out] lost  records between since and the oldest that is still there
 *
 * @return bytes written
 */
uint32_t tyf_telemetry_ring_read(const tyf_telemetry_ring *ring, uint32_t since, uint32_t max, uint8_t *data,
                                 uint32_t capacity, uint32_t *next, uint32_t *lost);

#endif
