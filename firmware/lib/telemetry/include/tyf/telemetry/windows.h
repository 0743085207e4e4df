/**
 * What the answers of the last records were made from: as many windows as the memory holds, each found by the sequence
 * number of its record. The newest takes the place of the oldest. Windows of one layout at a time: the first one of
 * another layout lets go of all before it.
 *
 *     static _Alignas(4) uint8_t memory[TYF_CFG_CAPTURE_BYTES];
 *     static tyf_telemetry_windows windows;
 *     tyf_telemetry_windows_init(&windows, memory, sizeof memory);
 *     tyf_telemetry_windows_keep(&windows, seq, &layout, samples);
 *
 *     tyf_window_piece piece = {.capacity = sizeof reply};
 *     if (tyf_telemetry_windows_read(&windows, seq, off, reply, &piece) == TYF_OK) { ... piece.bytes of reply ... }
 */
#ifndef TYF_TELEMETRY_WINDOWS_H
#define TYF_TELEMETRY_WINDOWS_H

#include <stdbool.h>
#include <stdint.h>

#include "tyf/core/wire.h"

/** What a window looks like. */
typedef struct {
    uint32_t bytes;    /**< of one window, at least 1 */
    uint16_t channels; /**< values of one sample; 0: not known */
    uint8_t dtype;     /**< a tyf_dtype */
    bool is_of_stream; /**< the model remembers inputs: this one alone does not give the answer again */
} tyf_window_layout;

/** A part of a window. */
typedef struct {
    uint32_t capacity; /**< set by the caller: the most bytes that are wanted */
    uint32_t bytes;
    tyf_window_layout layout;
} tyf_window_piece;

/** Private fields; one writer, and readers that it may preempt but that do not preempt it. */
typedef struct {
    uint8_t *memory;
    uint32_t capacity;
    tyf_window_layout layout; /* bytes 0: none was kept yet */
    uint32_t places;          /* windows that the memory holds; 0: it is smaller than one */
    uint32_t first_seq;       /* of the first window of this layout */
    uint32_t next_seq;        /* of the next record; all from first_seq on have their window here, but for the oldest */
} tyf_telemetry_windows;

/** Start empty. The memory must outlive the windows; 4-byte aligned they are filled faster. */
void tyf_telemetry_windows_init(tyf_telemetry_windows *windows, uint8_t *memory, uint32_t capacity);

/**
 * Keep the window of one record. Without exception, and in the order of their numbers, of every record.
 *
 * @param seq  of the record that is about to be made
 */
void tyf_telemetry_windows_keep(tyf_telemetry_windows *windows, uint32_t seq, const tyf_window_layout *layout,
                                const void *data);

/**
 * Copy a part of a window, from byte off on.
 *
 * @param[out] data   room for piece->capacity bytes
 * @param[in,out] piece
 *
 * @return TYF_OK; TYF_ERR_ARG: no such record yet, or off lies beyond the end; TYF_ERR_GONE: newer ones are in its
 *         place; TYF_ERR_TOO_LARGE: no window fits into this memory
 */
tyf_status tyf_telemetry_windows_read(const tyf_telemetry_windows *windows, uint32_t seq, uint32_t off, uint8_t *data,
                                      tyf_window_piece *piece);

/** Windows that are held now. */
uint32_t tyf_telemetry_windows_held(const tyf_telemetry_windows *windows);

#endif
