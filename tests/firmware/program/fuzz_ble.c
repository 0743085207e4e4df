#include "fuzz_ble.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "tyf/core/bytes.h"
#include "tyf/host_board.h"

#define CORPUS 128u
#define PACKET_BYTES 2048u
#define ROUNDS_A_LINK 24u
#define BUFFERS 4u
#define HANDLE 0x0041u
#define H4_COMMAND 1u
#define H4_ACL 2u
#define H4_EVENT 4u
#define RESET 0x0c03u
#define LE_READ_BUFFER_SIZE 0x2002u
#define LE_SET_ADVERTISING 0x200au
#define US_PER_S 1000000u
#define HANG_S 30u

typedef struct {
    const uint8_t *data;
    uint32_t bytes;
} span;

static struct {
    uint32_t buffer_bytes;        /* the controller's */
    uint32_t packets;             /* that the board sent since the link began */
    bool is_counting;             /* no packet was told to be complete */
    uint16_t command;             /* the last one; 0: none */
    uint8_t answer[PACKET_BYTES]; /* the last ACL packet */
    uint32_t answer_bytes;
} seen;

static void require(bool holds, const char *what) {
    if (!holds) {
        fprintf(stderr, "%s\n", what);
        abort();
    }
}

/* Take what the board sends; whether it was anything. */
static bool take(void) {
    static uint8_t out[1u << 16];
    uint32_t count = 0, taken;
    while ((taken = tyf_host_hci_take(out + count, (uint32_t)sizeof out - count)) > 0) {
        count += taken;
        tyf_host_hci_feed(NULL, 0);
    }
    for (uint32_t at = 0; at < count;) {
        const uint32_t head = out[at] == H4_COMMAND ? 4u : 5u;
        require(out[at] == H4_COMMAND || out[at] == H4_ACL, "neither command nor data");
        require(at + head <= count, "half a header");
        const uint32_t body = out[at] == H4_COMMAND ? out[at + 3u] : tyf_get_u16_le(out + at + 3u);
        require(at + head + body <= count, "half a packet");
        if (out[at] == H4_COMMAND) {
            seen.command = tyf_get_u16_le(out + at + 1u);
        } else {
            require(body > 0 && body <= seen.buffer_bytes, "a packet larger than the buffers");
            seen.packets++;
            require(!seen.is_counting || seen.packets <= BUFFERS, "more packets than buffers");
            seen.answer_bytes = body;
            memcpy(seen.answer, out + at + head, body);
        }
        at += head + body;
    }
    return count > 0;
}

static bool feed(const uint8_t *data, uint32_t bytes) {
    uint8_t *exact = malloc(bytes > 0 ? bytes : 1u); /* the sanitizer watches its end */
    if (exact == NULL) {
        abort();
    }
    memcpy(exact, data, bytes);
    require(tyf_host_hci_feed(exact, bytes) == bytes, "bytes are left");
    free(exact);
    return take();
}

static void connect(void) {
    static const uint8_t connected[] = {H4_EVENT, 0x3e, 19, 1, 0,  HANDLE, 0, 1, 1,  0, 0,
                                        0,        0,    0,  0, 24, 0,      0, 0, 72, 0, 0};
    seen.packets = 0;
    seen.is_counting = true;
    feed(connected, sizeof connected);
}

/* Be the controller that is asked for a command, and for all that follow. */
static void complete(void) {
    for (uint32_t i = 0; i < 16u && seen.command != 0; i++) {
        uint8_t done[10] = {H4_EVENT, 0x0e, 7, 1, 0, 0, 0, 0, 0, 0};
        tyf_put_u16_le(done + 4, seen.command);
        tyf_put_u16_le(done + 7, seen.command == LE_READ_BUFFER_SIZE ? (uint16_t)seen.buffer_bytes : 0u);
        done[9] = BUFFERS;
        seen.command = 0;
        feed(done, sizeof done);
    }
}

/* A new link, to a controller that the board asks for. */
static void bring_up(void) {
    seen.buffer_bytes = 27u + fuzz_random_below(2) * 224u;
    complete();
    connect();
}

/* Let time go on until the board asks for a controller: with one it works. */
static void recover(void) {
    static const uint8_t read_name[] = {H4_ACL, HANDLE, 0x20, 7, 0, 3, 0, 4, 0, 0x0a, 3, 0};
    uint32_t seconds = 0;
    seen.command = 0;
    for (; seconds < HANG_S && seen.command != RESET; seconds++) {
        tyf_host_advance_us(US_PER_S);
        tyf_host_hci_feed(NULL, 0);
        take();
    }
    require(seconds < HANG_S, "the board does not ask for its controller");
    bring_up();
    feed(read_name, sizeof read_name);
    require(seen.answer_bytes == 13u && memcmp(seen.answer + 4, "\x0btf-", 4) == 0, "the board does not say its name");
}

/* Most of what is damaged keeps its outer shape, so that it gets as far as what is behind it. */
static void repair(uint8_t *packet, uint32_t bytes) {
    if (packet[0] == H4_EVENT && bytes >= 3u) {
        packet[2] = (uint8_t)(bytes - 3u);
    } else if (packet[0] == H4_ACL && bytes >= 9u) {
        tyf_put_u16_le(packet + 3, (uint16_t)(bytes - 5u));
        if ((packet[2] & 0x30u) == 0x20u && fuzz_random_below(4) != 0) {
            tyf_put_u16_le(packet + 5, (uint16_t)(bytes - 9u));
        }
        if (fuzz_random_below(8) != 0) {
            packet[1] = HANDLE;
            packet[2] &= 0x30u;
        }
    }
}

uint32_t fuzz_ble(const uint8_t *data, uint32_t bytes, uint8_t *reply) {
    fuzz_seed(tyf_get_u32_le(data));
    const uint32_t rounds = tyf_get_u32_le(data + 4);
    span corpus[CORPUS];
    uint32_t corpus_count = 0;
    for (uint32_t at = 8; at < bytes && corpus_count < CORPUS; corpus_count++) {
        corpus[corpus_count] = (span){data + at + 2, tyf_get_u16_le(data + at)};
        at += 2u + corpus[corpus_count].bytes;
    }
    uint32_t answered = 0;
    for (uint32_t round = 0; round < rounds; round++) {
        uint8_t packet[PACKET_BYTES];
        const span from = corpus[fuzz_random_below(corpus_count)];
        uint32_t count = from.bytes;
        if (round % ROUNDS_A_LINK == 0) {
            recover();
        }
        memcpy(packet, from.data, count);
        for (uint32_t i = fuzz_random_below(4); i > 0; i--) {
            count = fuzz_mutate(packet, count, sizeof packet);
        }
        if (count > 0 && fuzz_random_below(8) != 0) {
            packet[0] = from.data[0];
            repair(packet, count);
        }
        if (from.data[0] == H4_EVENT || packet[0] != H4_ACL) {
            seen.is_counting = false; /* it may be taken for packets that were sent */
        }
        bool has_answered = false;
        for (uint32_t at = 0; at < count;) {
            const uint32_t piece = 1u + fuzz_random_below(count - at);
            has_answered |= feed(packet + at, piece);
            at += piece;
        }
        answered += has_answered;
        /* Most damage is to meet a link. */
        if (seen.command == RESET) {
            bring_up();
        } else if (seen.command == LE_SET_ADVERTISING) {
            complete();
            connect();
        } else if (fuzz_random_below(4) == 0) {
            complete();
        }
        if (fuzz_random_below(64) == 0) {
            tyf_host_advance_us(fuzz_random_below(3u * US_PER_S));
        }
    }
    recover();
    tyf_put_u32_le(reply, rounds);
    tyf_put_u32_le(reply + 4, answered);
    return 8;
}
