#include "fuzz_parsers.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "tyf/cbor/reader.h"
#include "tyf/core/bytes.h"
#include "tyf/host_board.h"
#include "tyf/identity/identity.h"
#include "tyf/model_store/package.h"
#include "tyf/smp/console.h"

#define CORPUS 128u
#define CAPACITY 16384u

typedef struct {
    const uint8_t *data;
    uint32_t bytes;
} span;

typedef struct {
    uint8_t data[2u * CAPACITY];
    uint32_t bytes;
} text;

static uint32_t forged; /* frames that were heard as something else than what was sent */

static void require(bool holds, const char *what, uint32_t round) {
    if (!holds) {
        fprintf(stderr, "round %u: %s\n", (unsigned)round, what);
        abort();
    }
}

static uint32_t damaged(span from, uint8_t *data, uint32_t most) {
    memcpy(data, from.data, from.bytes);
    uint32_t count = from.bytes;
    for (uint32_t i = fuzz_random_below(most + 1u); i > 0; i--) {
        count = fuzz_mutate(data, count, CAPACITY);
    }
    return count;
}

/* A copy of exactly its size, so that the sanitizer watches its end. */
static uint8_t *exact_copy(const uint8_t *data, uint32_t bytes) {
    uint8_t *copy = malloc(bytes > 0 ? bytes : 1u);
    if (copy == NULL) {
        abort();
    }
    memcpy(copy, data, bytes);
    return copy;
}

static bool lies_inside(tyf_cbor_string string, const uint8_t *data, uint32_t bytes) {
    return string.data >= data && string.bytes <= bytes && (uint32_t)(string.data - data) <= bytes - string.bytes;
}

static bool opens(const uint8_t *data, uint32_t bytes) {
    tyf_cbor_map map;
    uint8_t *exact = exact_copy(data, bytes);
    bool is_open = tyf_cbor_map_open(&map, exact, bytes) == TYF_OK;
    free(exact);
    return is_open;
}

static bool fuzz_cbor(span from, uint32_t round) {
    static const char *const keys[] = {"d", "off", "data", "seed", "since", "max", "layers", "stream", ""};
    static uint8_t buffer[CAPACITY + 1u];
    uint32_t bytes = damaged(from, buffer, 4);
    uint8_t *exact = exact_copy(buffer, bytes);
    tyf_cbor_map map;
    bool is_open = tyf_cbor_map_open(&map, exact, bytes) == TYF_OK;
    if (is_open) {
        for (uint32_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
            uint32_t number = 0xA5A5A5A5u;
            bool flag = false;
            tyf_cbor_string string = {0};
            tyf_status status = tyf_cbor_find_u32(&map, keys[i], &number);
            require(status == TYF_OK || number == 0xA5A5A5A5u, "a number that was not found is changed", round);
            tyf_cbor_find_bool(&map, keys[i], &flag);
            if (tyf_cbor_find_bytes(&map, keys[i], &string) == TYF_OK) {
                require(lies_inside(string, exact, bytes), "bytes lie outside of the map", round);
            }
            if (tyf_cbor_find_text(&map, keys[i], &string) == TYF_OK) {
                require(lies_inside(string, exact, bytes), "text lies outside of the map", round);
            }
        }
        /* A map ends where it says: neither less nor more of it is one. No bytes at all count as an empty map. */
        require(bytes < 2 || !opens(exact, bytes - 1u), "opens without its last byte", round);
        buffer[bytes] = 0;
        require(bytes == 0 || !opens(buffer, bytes + 1u), "opens with a byte behind it", round);
    }
    free(exact);
    return is_open;
}

static void append(void *context, const uint8_t *data, uint32_t bytes) {
    text *to = context;
    memcpy(to->data + to->bytes, data, bytes);
    to->bytes += bytes;
}

/* How many messages come out; the last one is copied. */
static uint32_t receive(tyf_smp_console *console, const uint8_t *data, uint32_t bytes, uint8_t *message,
                        uint32_t *count) {
    uint32_t messages = 0;
    for (uint32_t i = 0; i < bytes; i++) {
        if (tyf_smp_console_receive(console, data[i])) {
            messages++;
            *count = console->message_bytes;
            require(*count <= TYF_SMP_MESSAGE_BYTES, "a message is larger than a frame", i);
            memcpy(message, tyf_smp_console_message(console), *count);
        }
    }
    return messages;
}

static bool fuzz_frames(span from, uint32_t round) {
    static tyf_smp_console console;
    static text frames, again;
    static uint8_t buffer[2u * CAPACITY], message[TYF_SMP_MESSAGE_BYTES], second[TYF_SMP_MESSAGE_BYTES];
    if (round == 0) {
        tyf_smp_console_init(&console);
    }
    frames.bytes = 0;
    tyf_smp_console_send(from.data, from.bytes, append, &frames);
    uint32_t bytes = damaged((span){frames.data, frames.bytes}, buffer, 3);
    uint32_t count = 0;
    bool is_received = receive(&console, buffer, bytes, message, &count) > 0;
    if (is_received) {
        forged += count != from.bytes || memcmp(message, from.data, count) != 0;
        again.bytes = 0;
        tyf_smp_console_send(message, count, append, &again);
        uint32_t same = 0;
        require(receive(&console, again.data, again.bytes, second, &same) == 1, "a message does not come back", round);
        require(same == count && memcmp(message, second, count) == 0, "another message comes back", round);
    }
    /* Whatever came before, an intact frame on a line of its own is heard. */
    receive(&console, (const uint8_t *)"\n", 1, second, &count);
    require(receive(&console, frames.data, frames.bytes, message, &count) == 1, "an intact frame is not heard", round);
    require(count == from.bytes && memcmp(message, from.data, count) == 0, "an intact frame is heard wrong", round);
    return is_received;
}

static bool fuzz_nvm(span from, uint32_t round) {
    static uint8_t buffer[CAPACITY];
    uint32_t bytes = damaged(from, buffer, 3);
    for (uint32_t i = fuzz_random_below(4); i > 0 && bytes > 0; i--) {
        /* Most of an image is empty: aim at what is not. */
        static const uint32_t places[] = {0, TYF_NVM_BOOT_SLOT0_OFFSET, TYF_NVM_BOOT_SLOT1_OFFSET};
        uint32_t at = places[fuzz_random_below(3)] + fuzz_random_below(64);
        if (at < bytes) {
            buffer[at] ^= (uint8_t)(1u << fuzz_random_below(8));
        }
    }
    uint8_t *exact = exact_copy(buffer, bytes);
    tyf_host_power_on(exact, bytes);
    tyf_identity first, second;
    tyf_status status = tyf_identity_start(&first);
    bool is_ok = status == TYF_OK;
    if (is_ok) {
        /* The identity area begins with 8 bytes before the device_id. */
        require(memcmp(first.device_id, from.data + 8, sizeof first.device_id) == 0, "another device_id", round);
        require(tyf_identity_start(&second) != TYF_OK || second.boot_id > first.boot_id, "a boot_id comes again",
                round);
    } else {
        static const tyf_identity none;
        require(memcmp(&first, &none, sizeof none) == 0, "something is left of a refused identity", round);
    }
    /* The board goes on with this memory, so it gets one that stays. */
    memcpy(buffer, exact, bytes);
    tyf_host_power_on(buffer, sizeof buffer);
    free(exact);
    return is_ok;
}

/* Whatever a package says, it leads nowhere but into its own bytes. */
static bool fuzz_package(span from, uint32_t round) {
    static uint8_t buffer[CAPACITY];
    uint32_t bytes = damaged(from, buffer, 3);
    uint8_t *exact = exact_copy(buffer, bytes);
    tyf_model_package package;
    bool is_read = tyf_model_package_read(&package, exact, bytes) == TYF_OK;
    if (is_read) {
        volatile uint8_t last = exact[package.package_bytes - 1u];
        last = package.blob_bytes != 0 ? package.blob[package.blob_bytes - 1u] : last;
        last = package.model_id[31];
        last = package.kernel_count != 0 ? package.kernels[4u * package.kernel_count - 1u] : last;
        require(package.signed_bytes < package.package_bytes && package.package_bytes <= bytes, "too large", round);
        require(package.vector_count >= 1 && package.vector_count <= TYF_PACKAGE_VECTORS, "number of vectors", round);
        for (uint32_t i = 0; i < package.vector_count; i++) {
            const tyf_model_vector vector = tyf_model_package_vector(&package, i);
            last = vector.output[(vector.is_hash ? 32u : package.output_bytes) - 1u];
            last = vector.stored != NULL ? vector.stored[package.input_bytes - 1u] : last;
        }
        (void)last;
        require(tyf_model_package_read(&package, exact, package.package_bytes - 1u) != TYF_OK, "opens truncated",
                round);
    }
    free(exact);
    return is_read;
}

uint32_t fuzz_parsers(const uint8_t *data, uint32_t bytes, uint8_t *reply) {
    span corpus[CORPUS];
    uint32_t corpus_count = 0;
    for (uint32_t at = 9; at < bytes && corpus_count < CORPUS; corpus_count++) {
        corpus[corpus_count] = (span){data + at + 2, tyf_get_u16_le(data + at)};
        require(corpus[corpus_count].bytes <= CAPACITY, "the corpus is too large", corpus_count);
        at += 2u + corpus[corpus_count].bytes;
    }
    fuzz_seed(tyf_get_u32_le(data + 1));
    uint32_t rounds = tyf_get_u32_le(data + 5);
    uint32_t accepted = 0;
    forged = 0;
    for (uint32_t round = 0; round < rounds; round++) {
        span from = corpus[fuzz_random_below(corpus_count)];
        switch (data[0]) {
        case 'c':
            accepted += fuzz_cbor(from, round);
            break;
        case 'f':
            accepted += fuzz_frames(from, round);
            break;
        case 'p':
            accepted += fuzz_package(from, round);
            break;
        default:
            accepted += fuzz_nvm(from, round);
        }
    }
    /* The CRC lets one damaged frame in 65536 through. */
    require(forged <= 5u + rounds / 10000u, "damaged frames are heard", rounds);
    tyf_put_u32_le(reply, rounds);
    tyf_put_u32_le(reply + 4, accepted);
    return 8;
}
