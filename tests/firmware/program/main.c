/*
 * The firmware's libraries and the host board behind a pipe. A request is a letter, a u32 length and that many bytes;
 * its reply a u32 length and bytes. Little-endian. What each letter wants stands at its case.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../../firmware/lib/sensor/src/sensor.h"
#include "fuzz.h"
#include "fuzz_ble.h"
#include "fuzz_parsers.h"
#include "fuzz_store.h"
#include "guarded.h"
#include "mlperf.h"
#include "monocypher.h"
#include "preempted.h"
#include "session.h"
#include "tyf/cbor/reader.h"
#include "tyf/core/bytes.h"
#include "tyf/core/crc.h"
#include "tyf/core/divide.h"
#include "tyf/core/sha256.h"
#include "tyf/crypto/ed25519.h"
#include "tyf/crypto/sha512.h"
#include "tyf/host_board.h"
#include "tyf/model_store/package.h"
#include "tyf/telemetry/ring.h"

#define REPLY_BYTES (1u << 22)

static uint8_t reply[REPLY_BYTES];
static uint8_t *nvm;
static uint32_t nvm_bytes;
static uint8_t *ring_memory;
static tyf_telemetry_ring ring;

static void *must(void *memory) {
    if (memory == NULL) {
        abort();
    }
    return memory;
}

static uint32_t power_on(const uint8_t *image, uint32_t bytes) {
    free(nvm);
    nvm = must(malloc(bytes > 0 ? bytes : 1)); /* exactly: the sanitizer watches its ends */
    memcpy(nvm, image, bytes);
    nvm_bytes = bytes;
    tyf_host_power_on(nvm, nvm_bytes);
    return 0;
}

static uint32_t feed(const uint8_t *data, uint32_t bytes) {
    uint32_t count = 0;
    uint32_t done = 0;
    do {
        done += tyf_host_feed(data + done, bytes - done);
        count += tyf_host_take(reply + count, REPLY_BYTES - count);
    } while (done < bytes);
    return count;
}

/* key length, key, CBOR -> status of open, then status and value of each kind of find. */
static uint32_t cbor(const uint8_t *data, uint32_t bytes) {
    char key[256] = {0};
    memcpy(key, data + 1, data[0]);
    uint32_t skip = 1u + data[0];
    uint8_t *exact = must(malloc(bytes - skip + 1u)); /* +1: malloc(0) may be NULL */
    memcpy(exact, data + skip, bytes - skip);
    tyf_cbor_map map;
    tyf_status status = tyf_cbor_map_open(&map, bytes == skip ? NULL : exact + 0, bytes - skip);
    uint32_t count = 0;
    reply[count++] = (uint8_t)status;
    if (status == TYF_OK) {
        uint32_t number = 0;
        bool flag = false;
        tyf_cbor_string string = {0};
        reply[count++] = (uint8_t)tyf_cbor_find_u32(&map, key, &number);
        tyf_put_u32_le(reply + count, number);
        count += 4;
        reply[count++] = (uint8_t)tyf_cbor_find_bool(&map, key, &flag);
        reply[count++] = flag;
        reply[count++] = (uint8_t)tyf_cbor_find_bytes(&map, key, &string);
        reply[count++] = (uint8_t)tyf_cbor_find_text(&map, key, &string);
        tyf_put_u32_le(reply + count, string.bytes);
        count += 4;
        memcpy(reply + count, string.data != NULL ? string.data : reply, string.bytes);
        count += string.bytes;
    }
    free(exact);
    return count;
}

/* u32 piece size, data */
static uint32_t sha256(const uint8_t *data, uint32_t bytes) {
    uint32_t piece = tyf_get_u32_le(data);
    tyf_sha256 hash;
    tyf_sha256_init(&hash);
    for (uint32_t at = 4; at < bytes; at += piece) {
        tyf_sha256_update(&hash, data + at, bytes - at < piece ? bytes - at : piece);
    }
    tyf_sha256_final(&hash, reply);
    return TYF_SHA256_BYTES;
}

/* u32 piece size, data */
static uint32_t sha512(const uint8_t *data, uint32_t bytes) {
    uint32_t piece = tyf_get_u32_le(data);
    tyf_sha512 hash;
    tyf_sha512_init(&hash);
    for (uint32_t at = 4; at < bytes; at += piece) {
        tyf_sha512_update(&hash, data + at, bytes - at < piece ? bytes - at : piece);
    }
    tyf_sha512_final(&hash, reply);
    return TYF_SHA512_BYTES;
}

/* key, signature, message -> status of the verification, whether the key is one at all, whether it is of small order */
static uint32_t ed25519(const uint8_t *data, uint32_t bytes) {
    static const uint8_t one[32] = {1};
    uint8_t small[64] = {1}; /* R = the neutral element, S = 0: then the equation holds if the key's multiple does */
    const uint8_t *message = data + TYF_ED25519_KEY_BYTES + TYF_ED25519_SIGNATURE_BYTES;
    uint32_t message_bytes = bytes - (TYF_ED25519_KEY_BYTES + TYF_ED25519_SIGNATURE_BYTES);
    reply[0] = (uint8_t)tyf_ed25519_verify(data, message, message_bytes, data + TYF_ED25519_KEY_BYTES);
    reply[1] = tyf_ed25519_is_key(data);
    reply[2] = crypto_eddsa_check_equation(small, data, one) == 0;
    return 3;
}

/* u32 capacity, u32 first sequence number */
static uint32_t ring_start(const uint8_t *data) {
    const uint32_t capacity = tyf_get_u32_le(data);
    free(ring_memory);
    ring_memory = must(malloc(capacity));
    tyf_telemetry_ring_init(&ring, ring_memory, capacity);
    ring.oldest_seq = ring.next_seq = tyf_get_u32_le(data + 4);
    return 0;
}

/* output bytes; seq is repeated in the other fields, so that a reader sees mixed-up records */
static uint32_t ring_append(const uint8_t *output, uint32_t bytes) {
    uint32_t seq = tyf_telemetry_ring_produced(&ring);
    tyf_telemetry_fields fields = {.boot_id = 7, .stream = seq ^ 1u, .sample_index = seq * 3u, .uptime_us = seq};
    tyf_telemetry_ring_append(&ring, &fields, output, bytes);
    return 0;
}

/* u32 since, max, capacity -> u32 next, lost, overwrites, records */
static uint32_t ring_read(const uint8_t *data) {
    uint32_t capacity = tyf_get_u32_le(data + 8);
    uint8_t *exact = must(malloc(capacity + 1u));
    tyf_telemetry_batch batch =
        tyf_telemetry_ring_read(&ring, tyf_get_u32_le(data), tyf_get_u32_le(data + 4), exact, capacity);
    tyf_put_u32_le(reply, batch.next);
    tyf_put_u32_le(reply + 4, batch.lost);
    tyf_put_u32_le(reply + 8, tyf_telemetry_ring_overwrites(&ring));
    memcpy(reply + 12, exact, batch.bytes);
    free(exact);
    return 12u + batch.bytes;
}

/* a model package -> status, then what it says: sizes, types, model_id, kernels, and of each vector seed, case, output
 */
static uint32_t read_package(const uint8_t *data, uint32_t bytes) {
    uint8_t *exact = must(malloc(bytes + 1u));
    memcpy(exact, data, bytes);
    tyf_model_package package;
    const tyf_status status = tyf_model_package_read(&package, exact, bytes);
    uint32_t count = 0;
    reply[count++] = (uint8_t)status;
    if (status == TYF_OK) {
        const uint32_t numbers[] = {package.blob_bytes,   package.signed_bytes, package.package_bytes,
                                    package.kernel_abi,   package.arena_bytes,  package.input_bytes,
                                    package.output_bytes, package.input_dtype,  package.output_dtype};
        for (uint32_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++, count += 4) {
            tyf_put_u32_le(reply + count, numbers[i]);
        }
        memcpy(reply + count, package.model_id, 32);
        memcpy(reply + count + 32, package.kernels, 4u * package.kernel_count);
        count += 32u + 4u * package.kernel_count;
        for (uint32_t i = 0; i < package.vector_count; i++) {
            const tyf_model_vector vector = tyf_model_package_vector(&package, i);
            const uint32_t output_bytes = vector.is_hash ? TYF_SHA256_BYTES : package.output_bytes;
            tyf_put_u32_le(reply + count, vector.seed);
            tyf_put_u32_le(reply + count + 4, vector.stored != NULL ? UINT32_MAX : vector.case_index);
            memcpy(reply + count + 8, vector.output, output_bytes);
            count += 8u + output_bytes;
        }
    }
    free(exact);
    return count;
}

/* Bytes from the Bluetooth controller -> bytes to it. */
static uint32_t hci(const uint8_t *data, uint32_t bytes) {
    uint32_t count = 0;
    uint32_t taken;
    (void)tyf_host_hci_feed(data, bytes);
    while ((taken = tyf_host_hci_take(reply + count, REPLY_BYTES - count)) > 0) {
        count += taken;
        (void)tyf_host_hci_feed(NULL, 0); /* what had no room */
    }
    return count;
}

static uint32_t put_number(uint32_t value) {
    tyf_put_u32_le(reply, value);
    return 4;
}

static uint32_t handle(int letter, const uint8_t *data, uint32_t bytes) {
    switch (letter) {
    case 'P': /* NVM image */
        return power_on(data, bytes);
    case 'F': /* bytes for the UART -> bytes from it */
        return feed(data, bytes);
    case 'H':
        return hci(data, bytes);
    case 'A': /* u64 microseconds */
        tyf_host_advance_us((uint64_t)tyf_get_u32_le(data + 4) << 32 | tyf_get_u32_le(data));
        return 0;
    case 'N': /* -> NVM image */
        memcpy(reply, nvm, nvm_bytes);
        return nvm_bytes;
    case 'I': /* u32 address of the running program's vector table */
        tyf_host_run_image(tyf_get_u32_le(data));
        return 0;
    case 'R': /* -> u32 resets */
        return put_number(tyf_host_resets());
    case 'C':
        return cbor(data, bytes);
    case 'S':
        return sha256(data, bytes);
    case 'K':
        return read_package(data, bytes);
    case '5':
        return sha512(data, bytes);
    case 'E':
        return ed25519(data, bytes);
    case '3': /* data -> CRC-32, in two parts */
        return put_number(tyf_crc32(tyf_crc32(0, data, bytes / 3u), data + bytes / 3u, bytes - bytes / 3u));
    case '6': /* data -> CRC-16 */
        return put_number(tyf_crc16_xmodem(0, data, bytes));
    case 'i':
        return ring_start(data);
    case 'q': /* u32 sequence number of the board's next record; it holds none */
        tyf_sensor_state.ring.oldest_seq = tyf_sensor_state.ring.next_seq = tyf_get_u32_le(data);
        return 0;
    case 'a':
        return ring_append(data, bytes);
    case 'r':
        return ring_read(data);
    case 'Z': /* see fuzz.h */
        return fuzz(data, bytes, reply);
    case 'h': /* see fuzz_ble.h */
        return fuzz_ble(data, bytes, reply);
    case 'Y': /* see fuzz_parsers.h */
        return fuzz_parsers(data, bytes, reply);
    case 'D': /* u64 value, u32 divisor -> u64 */
        tyf_put_u64_le(reply, tyf_divide_u64((uint64_t)tyf_get_u32_le(data + 4) << 32 | tyf_get_u32_le(data),
                                             tyf_get_u32_le(data + 8)));
        return 8;
    case 'X': /* see fuzz_store.h */
        return fuzz_store(data, bytes, reply);
    case 'M': /* see mlperf.h */
        return mlperf_start(data, reply);
    case 'm':
        return mlperf_take(data, bytes, reply);
    case 'z':
        return mlperf_fuzz(data, bytes, reply);
    case 's': /* see session.h */
        return session_step(data, bytes, reply);
    case 'p': /* u32 count; see preempted.h */
        return preempted(tyf_get_u32_le(data), reply);
    case 'G': /* see guarded.h */
        return put_number(guarded(data[0], tyf_get_u32_le(data + 1)));
    default:
        abort();
    }
}

int main(void) {
    uint8_t head[5];
    while (fread(head, 1, sizeof head, stdin) == sizeof head) {
        uint32_t bytes = tyf_get_u32_le(head + 1);
        uint8_t *data = must(malloc(bytes + 1u));
        if (fread(data, 1, bytes, stdin) != bytes) {
            abort();
        }
        uint8_t reply_head[4];
        uint32_t count = handle(head[0], data, bytes);
        tyf_put_u32_le(reply_head, count);
        fwrite(reply_head, 1, sizeof reply_head, stdout);
        fwrite(reply, 1, count, stdout);
        fflush(stdout);
        free(data);
    }
    free(nvm);
    free(ring_memory);
    return 0;
}
