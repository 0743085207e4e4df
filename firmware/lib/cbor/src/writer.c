#include "tyf/cbor/writer.h"

#include <stddef.h>
#include <string.h>

#include "tyf/core/bytes.h"

enum {
    MAJOR_UINT = 0,
    MAJOR_BYTES = 2,
    MAJOR_TEXT = 3,
};

/* Heads with no entries yet; each entry adds one. */
#define EMPTY_ARRAY_BYTE 0x80u
#define EMPTY_MAP_BYTE 0xa0u
#define COUNT_MASK 0x1fu
#define FALSE_BYTE 0xf4u
#define TRUE_BYTE 0xf5u
/* Head of a byte string that is filled in place: always with a 16-bit length. */
#define OPEN_BYTES_HEAD 0x59u
#define OPEN_BYTES_HEAD_BYTES 3u

static void put(tyf_cbor_writer *writer, const void *data, uint32_t bytes) {
    if (!writer->is_ok || (uint32_t)(writer->end - writer->at) < bytes) {
        writer->is_ok = false;
        return;
    }
    if (bytes > 0) {
        memcpy(writer->at, data, bytes);
        writer->at += bytes;
    }
}

static void put_byte(tyf_cbor_writer *writer, uint32_t byte) {
    uint8_t value = (uint8_t)byte;
    put(writer, &value, 1);
}

static void put_head(tyf_cbor_writer *writer, uint32_t major, uint64_t argument) {
    uint8_t head[9];
    uint32_t bytes = 1;
    uint32_t info = (uint32_t)argument;
    if (argument >= 24) {
        uint32_t log2_bytes = argument <= UINT8_MAX ? 0 : argument <= UINT16_MAX ? 1 : argument <= UINT32_MAX ? 2 : 3;
        info = 24u + log2_bytes;
        bytes += 1u << log2_bytes;
    }
    head[0] = (uint8_t)(major << 5 | info);
    for (uint32_t i = bytes - 1u; i > 0; i--) {
        head[i] = (uint8_t)argument;
        argument >>= 8;
    }
    put(writer, head, bytes);
}

static void put_text(tyf_cbor_writer *writer, const void *text, uint32_t bytes) {
    put_head(writer, MAJOR_TEXT, bytes);
    put(writer, text, bytes);
}

static void put_key(tyf_cbor_writer *writer, const char *key) {
    if (writer->is_ok) {
        uint8_t *head = writer->heads[writer->depth - 1u];
        writer->is_ok = (*head & COUNT_MASK) < TYF_CBOR_WRITER_MAP_ENTRIES;
        *head = (uint8_t)(*head + 1u);
    }
    if (key != NULL) {
        put_text(writer, key, (uint32_t)strlen(key));
    }
}

void tyf_cbor_writer_init(tyf_cbor_writer *writer, uint8_t *buffer, uint32_t bytes) {
    *writer = (tyf_cbor_writer){.begin = buffer, .at = buffer, .end = buffer + bytes, .is_ok = true};
}

bool tyf_cbor_writer_is_ok(const tyf_cbor_writer *writer) {
    return writer->is_ok;
}

uint32_t tyf_cbor_writer_bytes(const tyf_cbor_writer *writer) {
    return (uint32_t)(writer->at - writer->begin);
}

uint32_t tyf_cbor_room_for_bytes(const tyf_cbor_writer *writer, const char *key, uint32_t reserve) {
    uint32_t left = writer->is_ok ? (uint32_t)(writer->end - writer->at) : 0;
    /* Heads of keys are at most 2 bytes: ours are short. */
    uint32_t taken = 2u + (uint32_t)strlen(key) + OPEN_BYTES_HEAD_BYTES + reserve;
    return left > taken ? left - taken : 0;
}

static void begin(tyf_cbor_writer *writer, uint32_t empty) {
    uint8_t *head = writer->at;
    if (writer->depth == TYF_CBOR_WRITER_DEPTH) {
        writer->is_ok = false;
        return;
    }
    put_byte(writer, empty);
    writer->heads[writer->depth++] = head;
}

void tyf_cbor_begin_map(tyf_cbor_writer *writer) {
    begin(writer, EMPTY_MAP_BYTE);
}

void tyf_cbor_add_map(tyf_cbor_writer *writer, const char *key) {
    put_key(writer, key);
    tyf_cbor_begin_map(writer);
}

void tyf_cbor_add_array(tyf_cbor_writer *writer, const char *key) {
    put_key(writer, key);
    begin(writer, EMPTY_ARRAY_BYTE);
}

void tyf_cbor_end(tyf_cbor_writer *writer) {
    if (writer->is_ok) {
        writer->depth--;
    }
}

void tyf_cbor_add_uint(tyf_cbor_writer *writer, const char *key, uint64_t value) {
    put_key(writer, key);
    put_head(writer, MAJOR_UINT, value);
}

void tyf_cbor_add_bool(tyf_cbor_writer *writer, const char *key, bool value) {
    put_key(writer, key);
    put_byte(writer, value ? TRUE_BYTE : FALSE_BYTE);
}

void tyf_cbor_add_text(tyf_cbor_writer *writer, const char *key, const char *text) {
    tyf_cbor_add_text_n(writer, key, text, (uint32_t)strlen(text));
}

void tyf_cbor_add_text_n(tyf_cbor_writer *writer, const char *key, const void *text, uint32_t bytes) {
    put_key(writer, key);
    put_text(writer, text, bytes);
}

void tyf_cbor_add_bytes(tyf_cbor_writer *writer, const char *key, const void *data, uint32_t bytes) {
    put_key(writer, key);
    put_head(writer, MAJOR_BYTES, bytes);
    put(writer, data, bytes);
}

uint8_t *tyf_cbor_open_bytes(tyf_cbor_writer *writer, const char *key, uint32_t capacity) {
    put_key(writer, key);
    if (!writer->is_ok || (uint32_t)(writer->end - writer->at) < OPEN_BYTES_HEAD_BYTES + capacity) {
        writer->is_ok = false;
        return NULL;
    }
    writer->at[0] = OPEN_BYTES_HEAD;
    return writer->at + OPEN_BYTES_HEAD_BYTES;
}

void tyf_cbor_close_bytes(tyf_cbor_writer *writer, uint32_t bytes) {
    if (writer->is_ok) {
        tyf_put_u16_be(writer->at + 1, (uint16_t)bytes);
        writer->at += OPEN_BYTES_HEAD_BYTES + bytes;
    }
}
