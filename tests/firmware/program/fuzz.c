#include "fuzz.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tyf/core/bytes.h"
#include "tyf/host_board.h"
#include "tyf/smp/console.h"

#define CORPUS 128u
#define TEXT_BYTES 4096u

typedef struct {
    const uint8_t *data;
    uint32_t bytes;
} span;

/* Text of frames, as it goes over the wire. */
typedef struct {
    uint8_t data[TEXT_BYTES];
    uint32_t bytes;
} wire_text;

static uint32_t random_state;

void fuzz_seed(uint32_t seed) {
    random_state = seed | 1u;
}

uint32_t fuzz_random_below(uint32_t limit) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    random_state ^= random_state << 5;
    return random_state % limit;
}

static void append(void *context, const uint8_t *data, uint32_t bytes) {
    wire_text *text = context;
    memcpy(text->data + text->bytes, data, bytes);
    text->bytes += bytes;
}

uint32_t fuzz_mutate(uint8_t *data, uint32_t bytes, uint32_t capacity) {
    static const uint8_t special[] = {0x00, 0x17, 0x18, 0x1b, 0x1f, 0x5b, 0x5f, 0x7f,
                                      0x80, 0x9f, 0xa0, 0xbf, 0xdb, 0xff, 0x06, 0x0a};
    if (bytes == 0) {
        return 0;
    }
    uint32_t at = fuzz_random_below(bytes);
    uint32_t count = 1u + fuzz_random_below(bytes - at);
    switch (fuzz_random_below(5)) {
    case 0:
        data[at] ^= (uint8_t)(1u << fuzz_random_below(8));
        return bytes;
    case 1:
        data[at] = special[fuzz_random_below(sizeof special)];
        return bytes;
    case 2:
        memmove(data + at, data + at + 1, bytes - at - 1u);
        return bytes - 1u;
    case 3:
        if (bytes + count <= capacity) {
            memmove(data + at + count, data + at, bytes - at);
            return bytes + count;
        }
        return bytes;
    default:
        return at;
    }
}

static uint32_t take_all(uint8_t *data, uint32_t capacity) {
    uint32_t count = tyf_host_take(data, capacity);
    if (count == capacity) {
        abort();
    }
    return count;
}

static bool contains(const uint8_t *data, uint32_t bytes, const wire_text *wanted) {
    for (uint32_t at = 0; at + wanted->bytes <= bytes; at++) {
        if (memcmp(data + at, wanted->data, wanted->bytes) == 0) {
            return true;
        }
    }
    return false;
}

static void frame(wire_text *text, const uint8_t *message, uint32_t bytes) {
    text->bytes = 0;
    tyf_smp_console_send(message, bytes, append, text);
}

uint32_t fuzz(const uint8_t *data, uint32_t bytes, uint8_t *reply) {
    static uint8_t output[1u << 18];
    static wire_text text, good, answer;
    /* Echo of "ok", and its answer: read, group 0, sequence 0x5a, command 0, {"d": "ok"} / {"r": "ok"}. */
    static const uint8_t good_message[] = {0x08, 0, 0, 6, 0, 0, 0x5a, 0, 0xa1, 0x61, 'd', 0x62, 'o', 'k'};
    static const uint8_t answer_message[] = {0x09, 0, 0, 6, 0, 0, 0x5a, 0, 0xa1, 0x61, 'r', 0x62, 'o', 'k'};
    frame(&good, good_message, sizeof good_message);
    frame(&answer, answer_message, sizeof answer_message);

    fuzz_seed(tyf_get_u32_le(data));
    uint32_t rounds = tyf_get_u32_le(data + 4);
    span corpus[CORPUS];
    uint32_t corpus_count = 0;
    for (uint32_t at = 8; at < bytes && corpus_count < CORPUS; corpus_count++) {
        corpus[corpus_count] = (span){data + at + 2, tyf_get_u16_le(data + at)};
        at += 2u + corpus[corpus_count].bytes;
    }
    uint32_t answered = 0;
    for (uint32_t round = 0; round < rounds; round++) {
        uint8_t message[TYF_SMP_MESSAGE_BYTES];
        span from = corpus[fuzz_random_below(corpus_count)];
        uint32_t count = from.bytes;
        memcpy(message, from.data, count);
        /* Half of them damaged before framing, with the length made right again mostly, so that they reach the parsers.
         */
        if (fuzz_random_below(2) == 0) {
            for (uint32_t i = fuzz_random_below(4); i < 4; i++) {
                count = fuzz_mutate(message, count, sizeof message);
            }
            if (count >= 8 && fuzz_random_below(8) != 0) {
                tyf_put_u16_be(message + 2, (uint16_t)(count - 8u));
            }
            frame(&text, message, count > 0 ? count : 1);
        } else {
            frame(&text, message, count);
            for (uint32_t i = fuzz_random_below(3); i < 3; i++) {
                text.bytes = fuzz_mutate(text.data, text.bytes, sizeof text.data);
            }
        }
        if (tyf_host_feed(text.data, text.bytes) != text.bytes) {
            abort();
        }
        answered += take_all(output, sizeof output) > 0;
        tyf_host_feed(good.data, good.bytes);
        uint32_t sent = take_all(output, sizeof output);
        if (!contains(output, sent, &answer)) {
            fprintf(stderr, "no echo after round %u\n", round);
            abort();
        }
    }
    tyf_put_u32_le(reply, rounds);
    tyf_put_u32_le(reply + 4, answered);
    return 8;
}
