/**
 * CBOR (RFC 8949) from outside: one map with text keys, checked as a whole, then asked for its values.
 *
 *     tyf_cbor_map request;
 *     uint32_t since = 0;                                             // default when absent
 *     tyf_status status = tyf_cbor_map_open(&request, payload, payload_bytes);
 *     if (status == TYF_OK) {
 *         status = tyf_cbor_find_u32(&request, "since", &since);      // TYF_ERR_ARG: absent
 *     }
 *
 * No heap, no recursion, nothing is copied. Definite and indefinite maps and arrays, tags, floats and simple values
 * are understood (and skipped); strings in chunks (indefinite strings) are refused, no SMP client sends them.
 */
#ifndef TYF_CBOR_READER_H
#define TYF_CBOR_READER_H

#include <stdbool.h>
#include <stdint.h>

#include "tyf/core/wire.h"

/** A checked map. Private fields; borrows the bytes that it was opened on. */
typedef struct {
    const uint8_t *entries;
    const uint8_t *end;
} tyf_cbor_map;

/** A string inside the opened bytes: no terminating zero, lives as long as they do. */
typedef struct {
    const uint8_t *data;
    uint32_t bytes;
} tyf_cbor_string;

/**
 * Check that the bytes are exactly one well-formed map, nested at most TYF_CFG_CBOR_DEPTH levels, with nothing after
 * it.
 *
 * @param[out] map    untouched on error
 * @param[in]  data   may be NULL when bytes is 0
 * @param[in]  bytes  0 is read as an empty map: some clients send no payload
 *
 * @return TYF_OK or TYF_ERR_FORMAT
 */
tyf_status tyf_cbor_map_open(tyf_cbor_map *map, const uint8_t *data, uint32_t bytes);

/*
 * Each find returns TYF_OK, TYF_ERR_ARG when the key is absent (value untouched), or TYF_ERR_FORMAT when its value is
 * of another type or out of range (value untouched). Of duplicate keys the first counts.
 */

/** Unsigned integer, 0 .. 2^32 - 1. */
tyf_status tyf_cbor_find_u32(const tyf_cbor_map *map, const char *key, uint32_t *value);

/** true or false. */
tyf_status tyf_cbor_find_bool(const tyf_cbor_map *map, const char *key, bool *value);

/** Byte string. */
tyf_status tyf_cbor_find_bytes(const tyf_cbor_map *map, const char *key, tyf_cbor_string *value);

/** Text string; its UTF-8 is not checked. */
tyf_status tyf_cbor_find_text(const tyf_cbor_map *map, const char *key, tyf_cbor_string *value);

#endif
