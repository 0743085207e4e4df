/**
 * The fields of a request, and their decoding. Each request is declared once, in Python
 * (tinyfleet_codegen/wire/messages.py); messages.h has what is generated from there.
 *
 *     tyf_infer_request request;
 *     if (!tyf_smp_decode(&map, tyf_infer_fields, 3, &request)) ...       // missing, of another type, out of range
 */
#ifndef TYF_SMP_FIELDS_H
#define TYF_SMP_FIELDS_H

#include <stdbool.h>
#include <stdint.h>

#include "tyf/cbor/reader.h"

/** Type of a field. */
enum {
    TYF_SMP_FIELD_UINT = 0,  /**< uint32_t */
    TYF_SMP_FIELD_FLAG = 1,  /**< bool */
    TYF_SMP_FIELD_TEXT = 2,  /**< tyf_cbor_string */
    TYF_SMP_FIELD_BYTES = 3, /**< tyf_cbor_string */
    TYF_SMP_FIELD_OPTIONAL = 0x80,
    TYF_SMP_FIELD_MAX_WHEN_ABSENT = 0x40, /**< of a number: absent is UINT32_MAX */
};

/** One field of a request. */
typedef struct {
    const char *key;
    uint32_t high; /**< largest number, or most bytes */
    uint16_t low;  /**< smallest number, or fewest bytes */
    uint8_t kind;
    uint8_t offset; /**< where it goes in the decoded request */
} tyf_smp_field;

/**
 * Decode a request. An optional field that is absent is 0 (or UINT32_MAX), false, or a string whose data is NULL.
 *
 * @param[out] request  the struct that belongs to the fields
 * @return false when a field is missing, of another type or out of range
 */
bool tyf_smp_decode(const tyf_cbor_map *map, const tyf_smp_field *fields, uint32_t count, void *request);

#endif
