#include "tyf/smp/fields.h"

#include <stddef.h>
#include <string.h>

#define KIND_MASK 3u

static bool decode_field(const tyf_cbor_map *map, const tyf_smp_field *field, uint8_t *to) {
    const uint32_t kind = field->kind & KIND_MASK;
    tyf_status status = TYF_OK;
    uint32_t measure = field->low; /* what the range is about */
    if (kind == TYF_SMP_FIELD_UINT) {
        uint32_t value = (field->kind & TYF_SMP_FIELD_MAX_WHEN_ABSENT) != 0 ? UINT32_MAX : 0u;
        status = tyf_cbor_find_u32(map, field->key, &value);
        memcpy(to, &value, sizeof value);
        measure = value;
    } else if (kind == TYF_SMP_FIELD_FLAG) {
        bool value = false;
        status = tyf_cbor_find_bool(map, field->key, &value);
        memcpy(to, &value, sizeof value);
    } else {
        tyf_cbor_string value = {NULL, 0};
        status = (kind == TYF_SMP_FIELD_TEXT ? tyf_cbor_find_text : tyf_cbor_find_bytes)(map, field->key, &value);
        memcpy(to, &value, sizeof value);
        measure = value.bytes;
    }
    if (status == TYF_ERR_ARG) { /* absent */
        return (field->kind & TYF_SMP_FIELD_OPTIONAL) != 0;
    }
    return status == TYF_OK && measure >= field->low && measure <= field->high;
}

bool tyf_smp_decode(const tyf_cbor_map *map, const tyf_smp_field *fields, uint32_t count, void *request) {
    for (uint32_t i = 0; i < count; i++) {
        if (!decode_field(map, &fields[i], (uint8_t *)request + fields[i].offset)) {
            return false;
        }
    }
    return true;
}
