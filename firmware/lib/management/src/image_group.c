/* SMP group 1: firmware images in the two slots. What runs is never written; what is uploaded is not started before it
 * was checked and asked for. */
#include <stddef.h>
#include <string.h>

#include "management.h"
#include "tyf/boot/slots.h"
#include "tyf/core/bytes.h"
#include "tyf/core/sha256.h"
#include "tyf/flash_map/flash_map.h"
#include "tyf/settings/transfer.h"

#ifdef TYF_BOARD_AREA_SLOT_0_BYTES

/* "image" of an upload: absent, 0 and 1 all mean the slot that does not run. Models have commands of their own. */
#define MOST_IMAGE 1u
#define UPLOAD_IMAGE 1u

/* The setting that says how far an upload came; a host cannot name it: it begins with a dot. */
#define MARK ".upload"

/* An upload since it began, and after its end until another begins: a repeated chunk finds it. */
static struct {
    uint32_t slot;
    uint32_t off;    /* bytes taken */
    uint32_t bytes;  /* of the whole file; 0: there is no upload */
    uint32_t erased; /* bytes of the slot, from its begin on, that were erased for it */
    tyf_sha256 hash; /* of the bytes taken */
    uint8_t sha[TYF_SHA256_BYTES];
    bool has_sha;
    uint8_t carry[TYF_FLASH_UNIT_BYTES]; /* of the unit that is not complete, off % unit bytes */
} upload;

void tyf_management_forget_upload(void) {
    upload.bytes = 0;
}

static int error_of(tyf_status status) {
    switch (status) {
    case TYF_OK:
        return TYF_SMP_OK;
    case TYF_ERR_STATE: /* what runs is on trial */
        return -TYF_IMAGE_ERR_IMAGE_ALREADY_PENDING;
    case TYF_ERR_FLASH:
        return -TYF_IMAGE_ERR_FLASH_WRITE_FAILED;
    case TYF_ERR_FORMAT:
        return -TYF_IMAGE_ERR_INVALID_IMAGE_HEADER;
    case TYF_ERR_TARGET:
        return -TYF_IMAGE_ERR_INVALID_TLV;
    case TYF_ERR_SIGNATURE:
        return -TYF_IMAGE_ERR_IMAGE_CONFIRMATION_DENIED;
    case TYF_ERR_ROLLBACK:
        return -TYF_IMAGE_ERR_CURRENT_VERSION_IS_NEWER;
    default:
        return -TYF_IMAGE_ERR_UNKNOWN;
    }
}

static bool is_pending(const tyf_boot_slot *state) {
    return state->is_requested && !state->is_tried && !state->is_active;
}

/* State */

static void add_image(tyf_cbor_writer *reply, uint32_t slot, const tyf_boot_slot *state) {
    char version[TYF_IMAGE_VERSION_TEXT_BYTES];
    const uint32_t version_bytes = tyf_image_version_text(&state->image.version, version);
    tyf_cbor_add_map(reply, NULL);
    tyf_cbor_add_uint(reply, "image", 0);
    tyf_cbor_add_uint(reply, "slot", slot);
    tyf_cbor_add_text_n(reply, "version", version, version_bytes);
    tyf_cbor_add_bytes(reply, "hash", state->image.digest, TYF_SHA256_BYTES);
    tyf_cbor_add_bool(reply, "bootable", true);
    tyf_cbor_add_bool(reply, "pending", is_pending(state));
    tyf_cbor_add_bool(reply, "confirmed", state->is_confirmed);
    tyf_cbor_add_bool(reply, "active", state->is_active);
    tyf_cbor_add_bool(reply, "permanent", false);
    tyf_cbor_end(reply);
}

static int read_state(tyf_smp_exchange *exchange) {
    tyf_cbor_add_array(&exchange->reply, "images");
    for (uint32_t slot = 0; slot < TYF_BOOT_SLOTS; slot++) {
        tyf_boot_slot state;
        tyf_boot_read(slot, &state);
        if (state.is_image && state.image.digest != NULL) {
            add_image(&exchange->reply, slot, &state);
        }
    }
    tyf_cbor_end(&exchange->reply);
    return TYF_SMP_OK;
}

/* The slot with that image; TYF_BOOT_NO_SLOT: none. What runs is found first. */
static uint32_t find_image(const tyf_cbor_string *hash) {
    const uint32_t first = tyf_boot_active() == 1u ? 1u : 0u;
    for (uint32_t turn = 0; turn < TYF_BOOT_SLOTS; turn++) {
        const uint32_t slot = turn == 0 ? first : 1u - first;
        tyf_boot_slot state;
        tyf_boot_read(slot, &state);
        if (state.is_image && state.image.digest != NULL && hash->bytes == TYF_SHA256_BYTES &&
            memcmp(state.image.digest, hash->data, TYF_SHA256_BYTES) == 0) {
            return slot;
        }
    }
    return TYF_BOOT_NO_SLOT;
}

static int write_state(tyf_smp_exchange *exchange) {
    const tyf_image_state_write_request *request = exchange->request;
    const uint32_t active = tyf_boot_active();
    if (request->hash.data == NULL && !request->confirm) {
        return TYF_SMP_EINVAL;
    }
    const uint32_t slot = request->hash.data == NULL ? active : find_image(&request->hash);
    if (slot == TYF_BOOT_NO_SLOT) {
        return -TYF_IMAGE_ERR_INVALID_HASH;
    }
    int result = TYF_SMP_OK;
    if (slot == active) {
        result = request->confirm ? error_of(tyf_boot_confirm()) : -TYF_IMAGE_ERR_IMAGE_SETTING_TEST_TO_ACTIVE_DENIED;
    } else if (request->confirm) {
        result = -TYF_IMAGE_ERR_IMAGE_CONFIRMATION_DENIED; /* it has not shown that it runs */
    } else {
        result = error_of(tyf_boot_mark_test(slot));
    }
    return result == TYF_SMP_OK ? read_state(exchange) : result;
}

/* Upload */

static void add_progress(tyf_cbor_writer *reply) {
    tyf_cbor_add_uint(reply, "off", upload.off);
    if (upload.bytes != 0 && upload.off == upload.bytes) {
        tyf_cbor_add_bool(reply, "match", true);
    }
}

/* Whether the slot holds the file already, perhaps from before a restart. The first chunk is compared first: hashing
 * takes 70 instructions a byte. */
static bool is_there(uint32_t slot, const tyf_image_upload_request *request) {
    const uint8_t *data = tyf_area_data(slot == 0 ? TYF_AREA_SLOT_0 : TYF_AREA_SLOT_1);
    uint8_t digest[TYF_SHA256_BYTES];
    if (request->sha.data == NULL || request->data.bytes > request->len ||
        memcmp(data, request->data.data, request->data.bytes) != 0) {
        return false;
    }
    tyf_sha256 hash;
    tyf_sha256_init(&hash);
    tyf_sha256_update(&hash, data, request->len);
    tyf_sha256_final(&hash, digest);
    return memcmp(digest, request->sha.data, sizeof digest) == 0;
}

static tyf_transfer as_transfer(void) {
    tyf_transfer file = {.area = upload.slot, .bytes = upload.bytes, .off = upload.off};
    memcpy(file.sha256, upload.sha, sizeof file.sha256);
    return file;
}

/* Go on where the board was before a restart: what a mark covers is hashed again, what is behind it is erased again. */
static void take_up(void) {
    const tyf_transfer file = as_transfer();
    uint32_t off;
    if (upload.has_sha && tyf_transfer_goes_on(MARK, &file, &off)) {
        upload.off = upload.erased = off;
        tyf_sha256_update(&upload.hash, tyf_area_data(upload.slot == 0 ? TYF_AREA_SLOT_0 : TYF_AREA_SLOT_1), off);
    }
}

/* Judge what the first chunk shows, without a write. */
static int check_first(const tyf_image_upload_request *request, uint32_t slot) {
    if (request->data.bytes < TYF_IMAGE_HEADER_BYTES) {
        return -TYF_IMAGE_ERR_INVALID_IMAGE_HEADER;
    }
    if (tyf_get_u32_le(request->data.data + TYF_IMAGE_MAGIC_OFFSET) != TYF_IMAGE_MAGIC) {
        return -TYF_IMAGE_ERR_INVALID_IMAGE_HEADER_MAGIC;
    }
    tyf_boot_trust trust;
    tyf_boot_trust_firmware(slot, &trust);
    const tyf_status status =
        tyf_image_check_header(request->data.data, request->data.bytes, tyf_boot_capacity(), &trust.wanted);
    if (status == TYF_ERR_TARGET) {
        return -TYF_IMAGE_ERR_INVALID_FLASH_ADDRESS; /* linked for the other slot: the host has another file for it */
    }
    if (status != TYF_OK) {
        return error_of(status);
    }
    tyf_boot_slot active;
    tyf_boot_read(tyf_boot_active(), &active);
    const uint8_t *header = request->data.data;
    const tyf_image_version version = {.major = header[TYF_IMAGE_VERSION_MAJOR_OFFSET],
                                       .minor = header[TYF_IMAGE_VERSION_MINOR_OFFSET],
                                       .revision = tyf_get_u16_le(header + TYF_IMAGE_VERSION_REVISION_OFFSET),
                                       .build = tyf_get_u32_le(header + TYF_IMAGE_VERSION_BUILD_OFFSET)};
    if (request->upgrade && tyf_image_compare(&version, &active.image.version) <= 0) {
        return -TYF_IMAGE_ERR_CURRENT_VERSION_IS_NEWER;
    }
    return TYF_SMP_OK;
}

/* Begin an upload, or find that one goes on or is done. */
static int begin(const tyf_image_upload_request *request) {
    if (request->image > MOST_IMAGE) {
        return -TYF_IMAGE_ERR_INVALID_SLOT;
    }
    if (request->len == 0) {
        return -TYF_IMAGE_ERR_INVALID_LENGTH;
    }
    if (tyf_boot_active() == TYF_BOOT_NO_SLOT) {
        return -TYF_IMAGE_ERR_NO_FREE_SLOT; /* it started without a bootloader */
    }
    if (request->len > tyf_boot_capacity()) {
        return -TYF_IMAGE_ERR_INVALID_IMAGE_TOO_LARGE;
    }
    if (request->data.bytes > request->len) {
        return -TYF_IMAGE_ERR_INVALID_IMAGE_DATA_OVERRUN;
    }
    const uint32_t slot = 1u - tyf_boot_active();
    if (upload.bytes == request->len && upload.has_sha && request->sha.data != NULL && upload.off > 0 &&
        memcmp(upload.sha, request->sha.data, sizeof upload.sha) == 0) {
        return TYF_SMP_OK;
    }
    int result = check_first(request, slot);
    if (result != TYF_SMP_OK) {
        return result;
    }
    tyf_boot_slot state;
    tyf_boot_read(slot, &state);
    const bool is_complete = is_there(slot, request);
    if (!is_complete) {
        if (is_pending(&state)) {
            return -TYF_IMAGE_ERR_IMAGE_ALREADY_PENDING;
        }
    }
    upload.slot = slot;
    upload.bytes = request->len;
    upload.off = is_complete ? request->len : 0;
    upload.erased = 0;
    upload.has_sha = request->sha.data != NULL;
    if (upload.has_sha) {
        memcpy(upload.sha, request->sha.data, sizeof upload.sha);
    }
    tyf_sha256_init(&upload.hash);
    if (!is_complete) {
        take_up();
    }
    if (upload.off == 0) {
        if (!tyf_transfer_forget(MARK)) {
            result = -TYF_IMAGE_ERR_FLASH_WRITE_FAILED;
        } else {
            result = error_of(tyf_boot_erase(slot, 0));
        }
        upload.erased = TYF_FLASH_PAGE_BYTES;
    }
    if (result != TYF_SMP_OK) {
        tyf_management_forget_upload();
    }
    return result;
}

/* Program at a multiple of a unit; pages are erased as they are reached. */
static tyf_status program(uint32_t at, const void *data, uint32_t bytes) {
    tyf_status status = TYF_OK;
    while (status == TYF_OK && upload.erased < at + bytes) {
        status = tyf_boot_erase(upload.slot, upload.erased);
        upload.erased += TYF_FLASH_PAGE_BYTES;
    }
    return status == TYF_OK && bytes > 0 ? tyf_boot_program(upload.slot, at, data, bytes) : status;
}

/* Take the next bytes of the file. */
static tyf_status take(const uint8_t *data, uint32_t bytes) {
    tyf_sha256_update(&upload.hash, data, bytes);
    uint32_t carried = upload.off % TYF_FLASH_UNIT_BYTES;
    upload.off += bytes;
    const bool is_last = upload.off == upload.bytes;
    tyf_status status = TYF_OK;
    if (carried > 0) {
        const uint32_t wanted = TYF_FLASH_UNIT_BYTES - carried;
        const uint32_t count = bytes < wanted ? bytes : wanted;
        memcpy(upload.carry + carried, data, count);
        carried += count;
        data += count;
        bytes -= count;
        if (carried < TYF_FLASH_UNIT_BYTES && !is_last) {
            return TYF_OK;
        }
        status =
            program((upload.off - bytes - 1u) / TYF_FLASH_UNIT_BYTES * TYF_FLASH_UNIT_BYTES, upload.carry, carried);
    }
    const uint32_t rest = is_last ? 0 : bytes % TYF_FLASH_UNIT_BYTES;
    if (status == TYF_OK && bytes > rest) {
        status = program(upload.off - bytes, data, bytes - rest);
    }
    memcpy(upload.carry, data + bytes - rest, rest);
    return status;
}

/* Keep the place, when the bytes up to `off` passed one that is kept. */
static void mark_place(uint32_t before) {
    tyf_transfer file = as_transfer();
    file.off -= file.off % TYF_TRANSFER_MARK_BYTES;
    if (upload.has_sha && file.off > before) {
        tyf_transfer_mark(MARK, &file);
    }
}

static int take_chunk(tyf_smp_exchange *exchange) {
    const tyf_image_upload_request *request = exchange->request;
    if (request->off == 0) {
        const int result = begin(request);
        if (result != TYF_SMP_OK) {
            return result;
        }
    }
    if (upload.bytes != 0 && request->off == upload.off && upload.off < upload.bytes) {
        if (request->data.bytes > upload.bytes - upload.off) {
            return -TYF_IMAGE_ERR_INVALID_IMAGE_DATA_OVERRUN;
        }
        const uint32_t before = upload.off;
        const int result = error_of(take(request->data.data, request->data.bytes));
        if (result != TYF_SMP_OK) {
            tyf_management_forget_upload();
            return result;
        }
        if (upload.off < upload.bytes) {
            mark_place(before);
        } else {
            uint8_t digest[TYF_SHA256_BYTES];
            tyf_sha256_final(&upload.hash, digest);
            (void)tyf_transfer_forget(MARK);
            if (upload.has_sha && memcmp(digest, upload.sha, sizeof digest) != 0) {
                tyf_management_forget_upload();
                return -TYF_IMAGE_ERR_INVALID_HASH;
            }
        }
    }
    if (upload.bytes == 0) {
        upload.off = 0; /* no upload: the host may begin one */
    }
    add_progress(&exchange->reply);
    return TYF_SMP_OK;
}

/* Erase, and sizes */

static int erase(tyf_smp_exchange *exchange) {
    const tyf_image_erase_request *request = exchange->request;
    const uint32_t active = tyf_boot_active();
    if (active == TYF_BOOT_NO_SLOT) {
        return -TYF_IMAGE_ERR_NO_FREE_SLOT;
    }
    if (request->slot != 1u - active && request->slot != UINT32_MAX) {
        return -TYF_IMAGE_ERR_INVALID_SLOT;
    }
    tyf_management_forget_upload();
    if (!tyf_transfer_forget(MARK)) {
        return -TYF_IMAGE_ERR_FLASH_ERASE_FAILED;
    }
    for (uint32_t at = 0; at < tyf_boot_capacity(); at += TYF_FLASH_PAGE_BYTES) {
        const tyf_status status = tyf_boot_erase(1u - active, at);
        if (status != TYF_OK) {
            return status == TYF_ERR_FLASH ? -TYF_IMAGE_ERR_FLASH_ERASE_FAILED : error_of(status);
        }
    }
    return TYF_SMP_OK;
}

static int list_slots(tyf_smp_exchange *exchange) {
    tyf_cbor_writer *reply = &exchange->reply;
    tyf_cbor_add_array(reply, "images");
    tyf_cbor_add_map(reply, NULL);
    tyf_cbor_add_uint(reply, "image", 0);
    tyf_cbor_add_array(reply, "slots");
    for (uint32_t slot = 0; slot < TYF_BOOT_SLOTS; slot++) {
        tyf_cbor_add_map(reply, NULL);
        tyf_cbor_add_uint(reply, "slot", slot);
        tyf_cbor_add_uint(reply, "size", tyf_area_bytes(slot == 0 ? TYF_AREA_SLOT_0 : TYF_AREA_SLOT_1));
        if (slot != tyf_boot_active()) {
            tyf_cbor_add_uint(reply, "upload_image_id", UPLOAD_IMAGE);
        }
        tyf_cbor_end(reply);
    }
    tyf_cbor_end(reply);
    tyf_cbor_add_uint(reply, "max_image_size", tyf_boot_capacity());
    tyf_cbor_end(reply);
    tyf_cbor_end(reply);
    return TYF_SMP_OK;
}

const tyf_smp_command tyf_management_image_commands[TYF_MANAGEMENT_IMAGE_COMMANDS] = {
    {TYF_MESSAGE_IMAGE_STATE, .handler = read_state},  {TYF_MESSAGE_IMAGE_STATE_WRITE, .handler = write_state},
    {TYF_MESSAGE_IMAGE_UPLOAD, .handler = take_chunk}, {TYF_MESSAGE_IMAGE_ERASE, .handler = erase},
    {TYF_MESSAGE_IMAGE_SLOTS, .handler = list_slots},
};

#else

void tyf_management_forget_upload(void) {
}

#endif
