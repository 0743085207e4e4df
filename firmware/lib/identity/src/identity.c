#include "tyf/identity/identity.h"

#include <stdbool.h>
#include <string.h>

#include "tyf/core/bytes.h"
#include "tyf/core/crc.h"
#include "tyf/core/sha256.h"
#include "tyf/port/nvm.h"

/* Offsets within the two kinds of area; tinyfleet_codegen/wire/nvm.py draws them. */
#define IDENTITY_VERSION_OFFSET 4u
#define IDENTITY_DEVICE_ID_OFFSET 8u
#define IDENTITY_ENTROPY_OFFSET 24u
#define BOOT_ID_OFFSET 4u
#define BOOT_ENTROPY_OFFSET 8u
#define CRC_BYTES 4u

static const uint32_t slot_offsets[2] = {TYF_NVM_BOOT_SLOT0_OFFSET, TYF_NVM_BOOT_SLOT1_OFFSET};

static bool is_intact(const uint8_t *area, uint32_t bytes, uint32_t magic)
{
    const uint32_t crc = tyf_get_u32_le(area + bytes - CRC_BYTES);
    return tyf_get_u32_le(area) == magic && tyf_crc32(0, area, bytes - CRC_BYTES) == crc;
}

/* Reads the slots; gives the newest intact one in `newest` (untouched when none is), and which slot to write next. */
static uint32_t read_slots(uint8_t newest[TYF_NVM_BOOT_BYTES])
{
    uint32_t newest_id = 0;
    uint32_t next_slot = 0;
    for (uint32_t i = 0; i < 2u; i++) {
        uint8_t slot[TYF_NVM_BOOT_BYTES];
        if (tyf_port_nvm_read(slot_offsets[i], slot, sizeof slot) != TYF_OK || !is_intact(slot, sizeof slot, TYF_NVM_BOOT_MAGIC)) {
            continue;
        }
        if (tyf_get_u32_le(slot + BOOT_ID_OFFSET) > newest_id) {
            newest_id = tyf_get_u32_le(slot + BOOT_ID_OFFSET);
            memcpy(newest, slot, sizeof slot);
            next_slot = 1u - i;
        }
    }
    return next_slot;
}

static bool read_identity_area(uint8_t area[TYF_NVM_IDENTITY_BYTES])
{
    return tyf_port_nvm_read(TYF_NVM_IDENTITY_OFFSET, area, TYF_NVM_IDENTITY_BYTES) == TYF_OK &&
           is_intact(area, TYF_NVM_IDENTITY_BYTES, TYF_NVM_IDENTITY_MAGIC) &&
           tyf_get_u16_le(area + IDENTITY_VERSION_OFFSET) == TYF_NVM_VERSION;
}

/* entropy = SHA-256(entropy, boot_id): nothing drawn before this boot can be computed from what is stored after it. */
static void ratchet(uint8_t entropy[TYF_ENTROPY_BYTES], uint32_t boot_id)
{
    uint8_t number[4];
    tyf_put_u32_le(number, boot_id);
    tyf_sha256 hash;
    tyf_sha256_init(&hash);
    tyf_sha256_update(&hash, entropy, TYF_ENTROPY_BYTES);
    tyf_sha256_update(&hash, number, sizeof number);
    tyf_sha256_final(&hash, entropy);
}

tyf_status tyf_identity_start(tyf_identity *identity)
{
    memset(identity, 0, sizeof *identity);
    uint8_t area[TYF_NVM_IDENTITY_BYTES];
    if (!read_identity_area(area)) {
        return TYF_ERR_NO_IDENTITY;
    }
    memcpy(identity->device_id, area + IDENTITY_DEVICE_ID_OFFSET, sizeof identity->device_id);

    uint8_t boot[TYF_NVM_BOOT_BYTES] = {0};
    memcpy(boot + BOOT_ENTROPY_OFFSET, area + IDENTITY_ENTROPY_OFFSET, TYF_ENTROPY_BYTES);
    const uint32_t slot = read_slots(boot);
    const uint32_t boot_id = tyf_get_u32_le(boot + BOOT_ID_OFFSET) + 1u;
    if (boot_id == 0) {
        return TYF_ERR_STATE;
    }
    tyf_put_u32_le(boot, TYF_NVM_BOOT_MAGIC);
    tyf_put_u32_le(boot + BOOT_ID_OFFSET, boot_id);
    ratchet(boot + BOOT_ENTROPY_OFFSET, boot_id);
    tyf_put_u32_le(boot + sizeof boot - CRC_BYTES, tyf_crc32(0, boot, sizeof boot - CRC_BYTES));
    if (tyf_port_nvm_write(slot_offsets[slot], boot, sizeof boot) != TYF_OK) {
        return TYF_ERR_STATE;
    }
    identity->boot_id = boot_id;
    return TYF_OK;
}
