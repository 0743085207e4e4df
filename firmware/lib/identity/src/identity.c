#include "tyf/identity/identity.h"

#include <stdbool.h>
#include <string.h>

#include "tyf/core/bytes.h"
#include "tyf/core/crc.h"
#include "tyf/core/sha256.h"
#include "tyf/port/nvm.h"

#define CRC_BYTES 4u

/* Identity area: magic, version, 0, device_id, entropy, 0, crc. */
#define IDENTITY_VERSION_AT 4u
#define IDENTITY_DEVICE_ID_AT 8u
#define IDENTITY_ENTROPY_AT (IDENTITY_DEVICE_ID_AT + TYF_DEVICE_ID_BYTES)
_Static_assert(IDENTITY_ENTROPY_AT + TYF_ENTROPY_BYTES + 4u + CRC_BYTES == TYF_NVM_IDENTITY_BYTES, "identity layout");

/* Boot slot: magic, boot_id, entropy, crc. */
#define BOOT_ID_AT 4u
#define BOOT_ENTROPY_AT 8u
_Static_assert(BOOT_ENTROPY_AT + TYF_ENTROPY_BYTES + CRC_BYTES == TYF_NVM_BOOT_BYTES, "boot slot layout");

_Static_assert(TYF_ENTROPY_BYTES == TYF_SHA256_BYTES, "entropy is a SHA-256");

static const uint32_t slot_offset[2] = {TYF_NVM_BOOT_SLOT0_OFFSET, TYF_NVM_BOOT_SLOT1_OFFSET};

/* Read an area that begins with a magic and ends with the CRC-32 of all before it. */
static bool read_area(uint32_t offset, uint32_t magic, uint8_t *area, uint32_t bytes) {
    return tyf_port_nvm_read(offset, area, bytes) == TYF_OK && tyf_get_u32_le(area) == magic &&
           tyf_get_u32_le(area + bytes - CRC_BYTES) == tyf_crc32(0, area, bytes - CRC_BYTES);
}

/* The last start: its boot_id and entropy, and which slot to write next. */
static uint32_t read_last_boot(tyf_identity *last, const uint8_t *identity_entropy) {
    uint32_t next_slot = 0;
    last->boot_id = 0;
    memcpy(last->entropy, identity_entropy, TYF_ENTROPY_BYTES);
    for (uint32_t i = 0; i < 2; i++) {
        uint8_t slot[TYF_NVM_BOOT_BYTES];
        if (!read_area(slot_offset[i], TYF_NVM_BOOT_MAGIC, slot, sizeof slot)) {
            continue;
        }
        uint32_t boot_id = tyf_get_u32_le(slot + BOOT_ID_AT);
        if (boot_id > last->boot_id) {
            last->boot_id = boot_id;
            memcpy(last->entropy, slot + BOOT_ENTROPY_AT, TYF_ENTROPY_BYTES);
            next_slot = 1u - i;
        }
    }
    return next_slot;
}

static bool write_boot(uint32_t offset, const tyf_identity *identity) {
    uint8_t slot[TYF_NVM_BOOT_BYTES];
    uint8_t written[TYF_NVM_BOOT_BYTES];
    tyf_put_u32_le(slot, TYF_NVM_BOOT_MAGIC);
    tyf_put_u32_le(slot + BOOT_ID_AT, identity->boot_id);
    memcpy(slot + BOOT_ENTROPY_AT, identity->entropy, TYF_ENTROPY_BYTES);
    tyf_put_u32_le(slot + sizeof slot - CRC_BYTES, tyf_crc32(0, slot, sizeof slot - CRC_BYTES));
    return tyf_port_nvm_write(offset, slot, sizeof slot) == TYF_OK &&
           read_area(offset, TYF_NVM_BOOT_MAGIC, written, sizeof written) && memcmp(slot, written, sizeof slot) == 0;
}

/* entropy = SHA-256(entropy, boot_id as u32): the old seed cannot be computed from the new one. */
static void advance_entropy(tyf_identity *identity) {
    uint8_t boot_id[4];
    tyf_put_u32_le(boot_id, identity->boot_id);
    tyf_sha256 hash;
    tyf_sha256_init(&hash);
    tyf_sha256_update(&hash, identity->entropy, TYF_ENTROPY_BYTES);
    tyf_sha256_update(&hash, boot_id, sizeof boot_id);
    tyf_sha256_final(&hash, identity->entropy);
}

tyf_status tyf_identity_start(tyf_identity *identity) {
    *identity = (tyf_identity){0};
    uint8_t area[TYF_NVM_IDENTITY_BYTES];
    if (!read_area(TYF_NVM_IDENTITY_OFFSET, TYF_NVM_IDENTITY_MAGIC, area, sizeof area) ||
        tyf_get_u16_le(area + IDENTITY_VERSION_AT) != TYF_NVM_VERSION) {
        return TYF_ERR_NO_IDENTITY;
    }
    tyf_identity next = {0};
    memcpy(next.device_id, area + IDENTITY_DEVICE_ID_AT, TYF_DEVICE_ID_BYTES);
    uint32_t slot = read_last_boot(&next, area + IDENTITY_ENTROPY_AT);
    if (next.boot_id == UINT32_MAX) {
        return TYF_ERR_STATE;
    }
    next.boot_id++;
    advance_entropy(&next);
    if (!write_boot(slot_offset[slot], &next)) {
        return TYF_ERR_STATE;
    }
    *identity = next;
    return TYF_OK;
}
