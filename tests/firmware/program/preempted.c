#define _XOPEN_SOURCE 700 /* signals and timers */

#include "preempted.h"

#include <signal.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#include "tyf/core/bytes.h"
#include "tyf/telemetry/ring.h"
#include "tyf/telemetry/windows.h"

#define MICROSECONDS 20
#define PATIENCE_US UINT64_C(40000000)
#define MOST_OUTPUT 40u

/* Windows change their layout now and then, each time to one that fits less or more often. */
#define MOST_WINDOW 64u
#define LAYOUT_RECORDS 50u

static uint8_t memory[2048];
static tyf_telemetry_ring ring;
static uint8_t window_memory[8 * MOST_WINDOW];
static tyf_telemetry_windows windows;

static uint32_t window_bytes(uint32_t seq) {
    return MOST_WINDOW - seq / LAYOUT_RECORDS % 2u * 15u;
}

static void append(int number) {
    (void)number;
    const uint32_t seq = tyf_telemetry_ring_produced(&ring);
    uint8_t output[MOST_OUTPUT];
    memset(output, (uint8_t)seq, sizeof output);
    uint8_t window[MOST_WINDOW];
    memset(window, (uint8_t)seq, sizeof window);
    const tyf_window_layout layout = {.bytes = window_bytes(seq)};
    tyf_telemetry_windows_keep(&windows, seq, &layout, window);
    const tyf_telemetry_fields fields = {.boot_id = 1, .stream = ~seq};
    tyf_telemetry_ring_append(&ring, &fields, output, seq % (MOST_OUTPUT + 1u));
}

/* Records in data that are not the ones from seq on, whole. */
static uint32_t count_bad(const uint8_t *data, uint32_t bytes, uint32_t seq, uint32_t *records) {
    uint32_t bad = 0;
    uint32_t at = 0;
    for (; at < bytes; seq++) {
        const uint8_t *record = data + at;
        const uint32_t expected = TYF_RECORD_HEADER_BYTES + seq % (MOST_OUTPUT + 1u);
        if (bytes - at < expected || tyf_get_u16_le(record + TYF_RECORD_RECORD_BYTES_OFFSET) != expected ||
            tyf_get_u32_le(record + TYF_RECORD_SEQ_OFFSET) != seq ||
            tyf_get_u32_le(record + TYF_RECORD_STREAM_OFFSET) != ~seq) {
            return bad + 1u;
        }
        for (uint32_t i = TYF_RECORD_HEADER_BYTES; i < expected; i++) {
            bad += record[i] != (uint8_t)seq;
        }
        at += expected;
        *records += 1u;
    }
    return bad;
}

/* Read a window that is near to being overwritten, and look at it; 1 when something in it is wrong. */
static uint32_t is_bad_window(uint32_t seq, uint32_t *read) {
    uint8_t data[MOST_WINDOW];
    tyf_window_piece piece = {.capacity = sizeof data};
    if (tyf_telemetry_windows_read(&windows, seq, 0, data, &piece) != TYF_OK) {
        return 0;
    }
    *read += 1u;
    uint32_t bad = piece.bytes != window_bytes(seq) || piece.layout.bytes != piece.bytes;
    for (uint32_t i = 0; i < piece.bytes; i++) {
        bad |= data[i] != (uint8_t)seq;
    }
    return bad;
}

static uint64_t now_us(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

uint32_t preempted(uint32_t count, uint8_t *reply) {
    uint8_t data[512];
    uint32_t reads = 0, records = 0, bad = 0, since = 0, windows_read = 0;
    tyf_telemetry_ring_init(&ring, memory, sizeof memory);
    tyf_telemetry_windows_init(&windows, window_memory, sizeof window_memory);
    struct sigaction action, before;
    memset(&action, 0, sizeof action);
    action.sa_handler = append;
    (void)sigaction(SIGALRM, &action, &before);
    struct itimerval interval = {{0, MICROSECONDS}, {0, MICROSECONDS}};
    (void)setitimer(ITIMER_REAL, &interval, NULL);
    const uint64_t end_us = now_us() + PATIENCE_US;
    while ((reads < count || records < count || windows_read < count || tyf_telemetry_ring_produced(&ring) < count) &&
           now_us() < end_us) {
        const tyf_telemetry_batch batch = tyf_telemetry_ring_read(&ring, since, 100, data, sizeof data);
        bad += count_bad(data, batch.bytes, since + batch.lost, &records);
        since = batch.next;
        const uint32_t held = tyf_telemetry_windows_held(&windows);
        bad += is_bad_window(tyf_telemetry_ring_produced(&ring) - held, &windows_read);
        reads++;
    }
    memset(&interval, 0, sizeof interval);
    (void)setitimer(ITIMER_REAL, &interval, NULL);
    (void)sigaction(SIGALRM, &before, NULL);
    tyf_put_u32_le(reply, reads);
    tyf_put_u32_le(reply + 4, records);
    tyf_put_u32_le(reply + 8, tyf_telemetry_ring_produced(&ring));
    tyf_put_u32_le(reply + 12, bad);
    tyf_put_u32_le(reply + 16, windows_read);
    return 20;
}
