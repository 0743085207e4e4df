#include "tyf/settings/transfer.h"

#include <string.h>

#include "tyf/core/bytes.h"
#include "tyf/settings/settings.h"

/* The value of the setting: area, size and offset, little-endian, and the SHA-256. */
#define BYTES_AT 4u
#define OFF_AT 8u
#define SHA256_AT 12u
#define MARK_BYTES (SHA256_AT + TYF_SHA256_BYTES)

static void encode(const tyf_transfer *file, uint8_t mark[MARK_BYTES]) {
    tyf_put_u32_le(mark, file->area);
    tyf_put_u32_le(mark + BYTES_AT, file->bytes);
    tyf_put_u32_le(mark + OFF_AT, file->off);
    memcpy(mark + SHA256_AT, file->sha256, TYF_SHA256_BYTES);
}

bool tyf_transfer_goes_on(const char *key, const tyf_transfer *file, uint32_t *off) {
    uint8_t wanted[MARK_BYTES], found[MARK_BYTES];
    uint32_t bytes;
    if (tyf_settings_get(key, found, sizeof found, &bytes) != TYF_OK || bytes != sizeof found) {
        return false;
    }
    encode(file, wanted);
    const uint32_t place = tyf_get_u32_le(found + OFF_AT);
    memcpy(wanted + OFF_AT, found + OFF_AT, 4u);
    if (memcmp(wanted, found, sizeof found) != 0 || place == 0 || place > file->bytes) {
        return false;
    }
    *off = place;
    return true;
}

void tyf_transfer_mark(const char *key, const tyf_transfer *file) {
    uint8_t mark[MARK_BYTES];
    encode(file, mark);
    (void)tyf_settings_set(key, mark, sizeof mark);
}

bool tyf_transfer_forget(const char *key) {
    uint8_t nothing[1];
    uint32_t bytes;
    (void)tyf_settings_delete(key);
    const tyf_status status = tyf_settings_get(key, nothing, 0, &bytes);
    return status != TYF_OK && status != TYF_ERR_TOO_LARGE;
}
