/**
 * CBOR into a buffer of fixed size.
 *
 *     tyf_cbor_writer reply;
 *     tyf_cbor_writer_init(&reply, buffer, sizeof buffer);
 *     tyf_cbor_begin_map(&reply);
 *     tyf_cbor_add_uint(&reply, "next", 42);
 *     tyf_cbor_end(&reply);
 *     if (!tyf_cbor_writer_is_ok(&reply)) ...                  // it did not fit
 *     send(buffer, tyf_cbor_writer_bytes(&reply));
 *
 * What does not fit spoils the writer, as do maps that are too deep or have too many entries; check once, at the end.
 * In an array the key is NULL:
 *
 *     tyf_cbor_add_array(&reply, "groups");
 *     tyf_cbor_add_uint(&reply, NULL, 64);
 *     tyf_cbor_end(&reply);
 *
 * Maps have a definite length: the echo of a request is no longer than the request.
 */
#ifndef TYF_CBOR_WRITER_H
#define TYF_CBOR_WRITER_H

#include <stdbool.h>
#include <stdint.h>

/** Maps and arrays that may be open at once, and entries that one may have: its head is one byte. */
#define TYF_CBOR_WRITER_DEPTH 6u
#define TYF_CBOR_WRITER_MAP_ENTRIES 23u

/** Private fields. */
typedef struct {
    uint8_t *begin;
    uint8_t *at;
    uint8_t *end;
    uint8_t *heads[TYF_CBOR_WRITER_DEPTH]; /* of what is open; they count their entries */
    uint8_t depth;
    bool is_ok;
} tyf_cbor_writer;

/** Start writing at buffer, which must outlive the writer. */
void tyf_cbor_writer_init(tyf_cbor_writer *writer, uint8_t *buffer, uint32_t bytes);

/** @return false when something did not fit: the bytes are then useless */
bool tyf_cbor_writer_is_ok(const tyf_cbor_writer *writer);

/** Bytes written so far. */
uint32_t tyf_cbor_writer_bytes(const tyf_cbor_writer *writer);

/** Bytes that a byte string added now under key could hold, with `reserve` bytes left after it. */
uint32_t tyf_cbor_room_for_bytes(const tyf_cbor_writer *writer, const char *key, uint32_t reserve);

/** Open the outermost map. */
void tyf_cbor_begin_map(tyf_cbor_writer *writer);

/** Open a map under a key. */
void tyf_cbor_add_map(tyf_cbor_writer *writer, const char *key);

/** Open an array under a key. */
void tyf_cbor_add_array(tyf_cbor_writer *writer, const char *key);

/** Close the map or array that was opened last. */
void tyf_cbor_end(tyf_cbor_writer *writer);

/** Key and unsigned integer. */
void tyf_cbor_add_uint(tyf_cbor_writer *writer, const char *key, uint64_t value);

/** Key and truth value. */
void tyf_cbor_add_bool(tyf_cbor_writer *writer, const char *key, bool value);

/** Key and text from a C string. */
void tyf_cbor_add_text(tyf_cbor_writer *writer, const char *key, const char *text);

/** Key and text of known length. */
void tyf_cbor_add_text_n(tyf_cbor_writer *writer, const char *key, const void *text, uint32_t bytes);

/** Key and byte string. */
void tyf_cbor_add_bytes(tyf_cbor_writer *writer, const char *key, const void *data, uint32_t bytes);

/**
 * Key and byte string that the caller fills in place, to spare a copy: write at most `capacity` bytes at the returned
 * place, then call tyf_cbor_close_bytes() with the true count, before anything else.
 *
 * @param capacity  0 .. 65535, at most what tyf_cbor_room_for_bytes() said
 * @return where to write, or NULL when it does not fit (the writer is then spoiled)
 */
uint8_t *tyf_cbor_open_bytes(tyf_cbor_writer *writer, const char *key, uint32_t capacity);

/** Finish tyf_cbor_open_bytes(); does nothing on a spoiled writer. */
void tyf_cbor_close_bytes(tyf_cbor_writer *writer, uint32_t bytes);

#endif
