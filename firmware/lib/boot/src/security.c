#include "tyf/boot/security.h"

#include <stddef.h>
#include <string.h>

#include "tyf/boot/keys.h"
#include "tyf/core/bytes.h"
#include "tyf/core/crc.h"
#include "tyf/flash_map/flash_map.h"

static const tyf_area areas[2] = {TYF_AREA_COUNTER_0, TYF_AREA_COUNTER_1};

#define UNIT_BYTES (TYF_FLASH_UNIT_BYTES > 0u ? TYF_FLASH_UNIT_BYTES : 1u)
/* From one record to the next: each begins at a unit. */
#define STRIDE_BYTES ((TYF_SECURITY_BYTES + UNIT_BYTES - 1u) / UNIT_BYTES * UNIT_BYTES)

static bool are_all(const uint8_t *bytes, uint32_t count, uint8_t value) {
    for (uint32_t i = 0; i < count; i++) {
        if (bytes[i] != value) {
            return false;
        }
    }
    return true;
}

static bool decode(const uint8_t *record, tyf_security *security) {
    if (tyf_get_u32_le(record + TYF_SECURITY_VERSION_OFFSET) != TYF_SECURITY_VERSION ||
        tyf_get_u32_le(record + TYF_SECURITY_CRC_OFFSET) != tyf_crc32(0, record, TYF_SECURITY_CRC_OFFSET)) {
        return false;
    }
    security->sequence = tyf_get_u32_le(record + TYF_SECURITY_SEQUENCE_OFFSET);
    security->counter = tyf_get_u32_le(record + TYF_SECURITY_COUNTER_OFFSET);
    memcpy(security->key, record + TYF_SECURITY_KEY_OFFSET, sizeof security->key);
    memcpy(security->next_key, record + TYF_SECURITY_NEXT_KEY_OFFSET, sizeof security->next_key);
    return true;
}

static void encode(uint8_t record[TYF_SECURITY_BYTES], const tyf_security *security) {
    tyf_put_u32_le(record + TYF_SECURITY_VERSION_OFFSET, TYF_SECURITY_VERSION);
    tyf_put_u32_le(record + TYF_SECURITY_SEQUENCE_OFFSET, security->sequence);
    tyf_put_u32_le(record + TYF_SECURITY_COUNTER_OFFSET, security->counter);
    memcpy(record + TYF_SECURITY_KEY_OFFSET, security->key, sizeof security->key);
    memcpy(record + TYF_SECURITY_NEXT_KEY_OFFSET, security->next_key, sizeof security->next_key);
    tyf_put_u32_le(record + TYF_SECURITY_CRC_OFFSET, tyf_crc32(0, record, TYF_SECURITY_CRC_OFFSET));
}

/* Newest record of one area into newest, if it is newer; *end: where the next one goes, behind all that is not blank.
 * @return the newest sequence in this area, 0: none */
static uint32_t scan(tyf_area area, tyf_security *newest, uint32_t *end) {
    const uint8_t *data = tyf_area_data(area);
    uint32_t sequence = 0;
    *end = 0;
    for (uint32_t at = 0; at + STRIDE_BYTES <= tyf_area_bytes(area); at += STRIDE_BYTES) {
        tyf_security found;
        if (!are_all(data + at, STRIDE_BYTES, 0xff)) {
            *end = at + STRIDE_BYTES;
        }
        if (decode(data + at, &found) && found.sequence > sequence) {
            sequence = found.sequence;
            if (sequence > newest->sequence) {
                *newest = found;
            }
        }
    }
    return sequence;
}

void tyf_security_read(tyf_security *security) {
    uint32_t end;
    *security = (tyf_security){0};
    memcpy(security->key, tyf_firmware_key, sizeof security->key);
    memset(security->next_key, 0xff, sizeof security->next_key);
    for (unsigned i = 0; i < 2; i++) {
        scan(areas[i], security, &end);
    }
}

static bool has_room(tyf_area area, uint32_t end) {
    return end + STRIDE_BYTES <= tyf_area_bytes(area);
}

static tyf_status append(tyf_area area, uint32_t end, const uint8_t record[TYF_SECURITY_BYTES]) {
    tyf_status status = TYF_OK;
    if (!has_room(area, end)) {
        end = 0;
        for (uint32_t at = 0; at < tyf_area_bytes(area) && status == TYF_OK; at += TYF_FLASH_PAGE_BYTES) {
            status = tyf_area_erase(area, at);
        }
    }
    return status == TYF_OK ? tyf_area_program(area, end, record, TYF_SECURITY_BYTES) : status;
}

tyf_status tyf_security_write(tyf_security *security) {
    if (tyf_area_bytes(areas[0]) < STRIDE_BYTES || tyf_area_bytes(areas[1]) < STRIDE_BYTES) {
        return TYF_ERR_STATE;
    }
    tyf_security newest = {0};
    uint32_t end[2];
    const uint32_t sequence[2] = {scan(areas[0], &newest, &end[0]), scan(areas[1], &newest, &end[1])};
    if (security->counter < newest.counter) {
        return TYF_ERR_ARG;
    }
    security->sequence = newest.sequence + 1u;
    uint8_t record[TYF_SECURITY_BYTES];
    encode(record, security);
    /* An area may be erased only while the other one holds the newest record: first the one that lacks it. */
    const unsigned first = sequence[0] > sequence[1] ? 1u : 0u;
    const unsigned second = 1u - first;
    const tyf_status status = append(areas[first], end[first], record);
    if (status != TYF_OK && !has_room(areas[second], end[second])) {
        return status;
    }
    return append(areas[second], end[second], record) == TYF_OK ? TYF_OK : status;
}

tyf_status tyf_security_advance(const tyf_image *image) {
    tyf_security security;
    tyf_security_read(&security);
    const tyf_security before = security;
    if (tyf_image_counter(image) > security.counter) {
        security.counter = tyf_image_counter(image);
    }
    if (tyf_ed25519_is_key(security.next_key) && tyf_image_is_signed_with(image, security.next_key)) {
        memcpy(security.key, security.next_key, sizeof security.key);
        memset(security.next_key, 0xff, sizeof security.next_key);
    }
    if (image->next_key != NULL && tyf_ed25519_is_key(image->next_key) &&
        memcmp(image->next_key, security.key, sizeof security.key) != 0) {
        memcpy(security.next_key, image->next_key, sizeof security.next_key);
    }
    return memcmp(&security, &before, sizeof security) == 0 ? TYF_OK : tyf_security_write(&security);
}
