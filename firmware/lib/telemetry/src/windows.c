#include "tyf/telemetry/windows.h"

#include <stdatomic.h>
#include <string.h>

void tyf_telemetry_windows_init(tyf_telemetry_windows *windows, uint8_t *memory, uint32_t capacity) {
    *windows = (tyf_telemetry_windows){.memory = memory, .capacity = capacity};
}

static bool is_same(const tyf_window_layout *a, const tyf_window_layout *b) {
    return a->bytes == b->bytes && a->channels == b->channels && a->dtype == b->dtype &&
           a->is_of_stream == b->is_of_stream;
}

/* Each window begins at a word, as the memory does: memcpy is then twice as fast and more. */
static uint32_t place_bytes(const tyf_window_layout *layout) {
    return (layout->bytes + 3u) / 4u * 4u;
}

static uint8_t *place_of(const tyf_telemetry_windows *windows, uint32_t seq) {
    return windows->memory + (seq - windows->first_seq) % windows->places * place_bytes(&windows->layout);
}

void tyf_telemetry_windows_keep(tyf_telemetry_windows *windows, uint32_t seq, const tyf_window_layout *layout,
                                const void *data) {
    if (!is_same(&windows->layout, layout)) {
        windows->layout = *layout;
        windows->places = windows->capacity / place_bytes(layout);
        windows->first_seq = seq;
    }
    if (windows->places != 0) {
        memcpy(place_of(windows, seq), data, layout->bytes);
    }
    windows->next_seq = seq + 1u;
}

uint32_t tyf_telemetry_windows_held(const tyf_telemetry_windows *windows) {
    const uint32_t kept = windows->next_seq - windows->first_seq;
    return kept < windows->places ? kept : windows->places;
}

static bool is_held(const tyf_telemetry_windows *windows, uint32_t seq) {
    return seq < windows->next_seq && windows->next_seq - seq <= tyf_telemetry_windows_held(windows);
}

/* How often a reader that the writer preempts starts over. Reading a frame takes less than a millisecond. */
#define MOST_TRIES 8

/* All that is known, at one time: every keep changes next_seq, and runs to its end before a reader goes on. */
static tyf_telemetry_windows look_at(const tyf_telemetry_windows *windows) {
    tyf_telemetry_windows seen = {0};
    for (int i = 0; i < MOST_TRIES; i++) {
        const uint32_t before = *(const volatile uint32_t *)&windows->next_seq;
        atomic_signal_fence(memory_order_seq_cst);
        seen = *windows;
        atomic_signal_fence(memory_order_seq_cst);
        if (*(const volatile uint32_t *)&windows->next_seq == before) {
            return seen;
        }
    }
    seen.first_seq = seen.next_seq; /* nothing that can be relied on */
    return seen;
}

tyf_status tyf_telemetry_windows_read(const tyf_telemetry_windows *windows, uint32_t seq, uint32_t off, uint8_t *data,
                                      tyf_window_piece *piece) {
    const tyf_telemetry_windows seen = look_at(windows);
    if (seq >= seen.next_seq) {
        return TYF_ERR_ARG;
    }
    if (seen.places == 0) {
        return TYF_ERR_TOO_LARGE;
    }
    if (!is_held(&seen, seq)) {
        return TYF_ERR_GONE;
    }
    if (off > seen.layout.bytes) {
        return TYF_ERR_ARG;
    }
    const uint32_t left = seen.layout.bytes - off;
    piece->bytes = left < piece->capacity ? left : piece->capacity;
    piece->layout = seen.layout;
    memcpy(data, place_of(&seen, seq) + off, piece->bytes);
    const tyf_telemetry_windows after = look_at(windows);
    return is_held(&after, seq) ? TYF_OK : TYF_ERR_GONE;
}
