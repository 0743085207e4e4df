#include "tyf/boot/image.h"

#include <stddef.h>
#include <string.h>

#include "tyf/core/bytes.h"

#define TLV_HEAD_BYTES 4u
#define DEPENDENCY_BYTES 12u
#define DEPENDENCY_VERSION_OFFSET 4u
#define FIRMWARE_IMAGE_ID 0u

/* Before the raw key in the DER form that KEY_HASH is the hash of. */
static const uint8_t spki_prefix[12] = {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};

static tyf_image_version version_at(const uint8_t *bytes) {
    return (tyf_image_version){
        .major = bytes[0],
        .minor = bytes[1],
        .revision = tyf_get_u16_le(bytes + 2),
        .build = tyf_get_u32_le(bytes + 4),
    };
}

/* Where to put an entry of this kind and area; NULL: it has no place there. */
static const uint8_t **place_of(tyf_image *image, uint32_t kind, bool is_protected, uint32_t *bytes) {
    if (!is_protected) {
        /* Nothing else may stand here: these entries are not signed. */
        switch (kind) {
        case TYF_IMAGE_TLV_SHA256:
            *bytes = TYF_SHA256_BYTES;
            return &image->digest;
        case TYF_IMAGE_TLV_KEY_HASH:
            *bytes = TYF_SHA256_BYTES;
            return &image->key_hash;
        case TYF_IMAGE_TLV_ED25519:
            *bytes = TYF_ED25519_SIGNATURE_BYTES;
            return &image->signature;
        default:
            return NULL;
        }
    }
    switch (kind) {
    case TYF_IMAGE_TLV_VENDOR:
        *bytes = TYF_IMAGE_ID_BYTES;
        return &image->vendor_id;
    case TYF_IMAGE_TLV_CLASS:
        *bytes = TYF_IMAGE_ID_BYTES;
        return &image->class_id;
    case TYF_IMAGE_TLV_SECURITY_COUNTER:
        *bytes = 4u;
        return &image->counter;
    case TYF_IMAGE_TLV_DEPENDENCY:
        *bytes = DEPENDENCY_BYTES;
        return &image->dependency;
    case TYF_IMAGE_TLV_NEXT_KEY:
        *bytes = TYF_ED25519_KEY_BYTES;
        return &image->next_key;
    default:
        return NULL;
    }
}

/* Entries in the first capacity bytes at area; whole areas only. */
static bool read_area(tyf_image *image, const uint8_t *area, uint32_t capacity, bool is_protected,
                      uint32_t *area_bytes) {
    const uint32_t magic = is_protected ? TYF_IMAGE_PROTECTED_MAGIC : TYF_IMAGE_TLV_MAGIC;
    if (capacity < TLV_HEAD_BYTES || tyf_get_u16_le(area) != magic) {
        return false;
    }
    const uint32_t end = tyf_get_u16_le(area + 2);
    if (end < TLV_HEAD_BYTES || end > capacity) {
        return false;
    }
    for (uint32_t at = TLV_HEAD_BYTES; at < end;) {
        if (end - at < TLV_HEAD_BYTES) {
            return false;
        }
        const uint32_t kind = tyf_get_u16_le(area + at), bytes = tyf_get_u16_le(area + at + 2);
        at += TLV_HEAD_BYTES;
        if (bytes > end - at) {
            return false;
        }
        uint32_t wanted_bytes = 0;
        const uint8_t **place = place_of(image, kind, is_protected, &wanted_bytes);
        if (place == NULL ? !is_protected : *place != NULL || bytes != wanted_bytes) {
            return false;
        }
        if (place != NULL) {
            *place = area + at;
        }
        at += bytes;
    }
    *area_bytes = end;
    return true;
}

tyf_status tyf_image_read(tyf_image *image, const uint8_t *data, uint32_t capacity) {
    if (capacity < TYF_IMAGE_HEADER_BYTES || tyf_get_u32_le(data) != TYF_IMAGE_MAGIC) {
        return TYF_ERR_FORMAT;
    }
    tyf_image read = {
        .data = data,
        .header_bytes = tyf_get_u16_le(data + TYF_IMAGE_HEADER_BYTES_OFFSET),
        .body_bytes = tyf_get_u32_le(data + TYF_IMAGE_BODY_BYTES_OFFSET),
        .flags = tyf_get_u32_le(data + TYF_IMAGE_FLAGS_OFFSET),
        .load_address = tyf_get_u32_le(data + TYF_IMAGE_LOAD_ADDRESS_OFFSET),
        .version = version_at(data + TYF_IMAGE_VERSION_MAJOR_OFFSET),
    };
    const uint32_t protected_bytes = tyf_get_u16_le(data + TYF_IMAGE_PROTECTED_BYTES_OFFSET);
    if (read.header_bytes < TYF_IMAGE_HEADER_BYTES || read.header_bytes > capacity || read.body_bytes == 0 ||
        read.body_bytes > capacity - read.header_bytes) {
        return TYF_ERR_FORMAT;
    }
    uint32_t at = read.header_bytes + read.body_bytes;
    uint32_t bytes = 0;
    if (protected_bytes != 0 &&
        (!read_area(&read, data + at, capacity - at, true, &bytes) || bytes != protected_bytes)) {
        return TYF_ERR_FORMAT;
    }
    at += protected_bytes;
    read.hashed_bytes = at;
    if (!read_area(&read, data + at, capacity - at, false, &bytes)) {
        return TYF_ERR_FORMAT;
    }
    read.image_bytes = at + bytes;
    *image = read;
    return TYF_OK;
}

/* Of what the first 32 bytes say. */
static tyf_status check_target(uint32_t header_bytes, uint32_t flags, uint32_t load_address,
                               const tyf_image_wanted *wanted) {
    const bool is_firmware = wanted->kind == TYF_IMAGE_FIRMWARE;
    /* No other flag either: none of MCUboot's (encrypted, compressed, to be copied into RAM) is supported. */
    return flags == (is_firmware ? TYF_IMAGE_FLAG_ROM_FIXED : TYF_IMAGE_FLAG_NON_BOOTABLE) &&
                   load_address == (is_firmware ? wanted->address : 0u) &&
                   header_bytes == (is_firmware ? TYF_IMAGE_FIRMWARE_HEADER_BYTES : TYF_IMAGE_HEADER_BYTES)
               ? TYF_OK
               : TYF_ERR_TARGET;
}

tyf_status tyf_image_check_header(const uint8_t *data, uint32_t bytes, uint32_t capacity,
                                  const tyf_image_wanted *wanted) {
    if (bytes < TYF_IMAGE_HEADER_BYTES) {
        return TYF_OK;
    }
    const uint32_t header_bytes = tyf_get_u16_le(data + TYF_IMAGE_HEADER_BYTES_OFFSET);
    if (tyf_get_u32_le(data) != TYF_IMAGE_MAGIC || header_bytes > capacity ||
        tyf_get_u32_le(data + TYF_IMAGE_BODY_BYTES_OFFSET) > capacity - header_bytes) {
        return TYF_ERR_FORMAT;
    }
    return check_target(header_bytes, tyf_get_u32_le(data + TYF_IMAGE_FLAGS_OFFSET),
                        tyf_get_u32_le(data + TYF_IMAGE_LOAD_ADDRESS_OFFSET), wanted);
}

/* A dependency on a firmware that runs and is new enough; MCUboot's structure: image id, three bytes, version. */
static bool is_dependency_met(const tyf_image *image, const tyf_image_wanted *wanted) {
    if (image->dependency == NULL) {
        return true;
    }
    const tyf_image_version least = version_at(image->dependency + DEPENDENCY_VERSION_OFFSET);
    return wanted->firmware != NULL && image->dependency[0] == FIRMWARE_IMAGE_ID &&
           tyf_image_compare(wanted->firmware, &least) >= 0;
}

/* The first instruction must lie in the body: what was signed by mistake shall not run into nothing. */
static bool has_entry(const tyf_image *image) {
    if (image->body_bytes < 8u) {
        return false;
    }
    const uint32_t entry = tyf_get_u32_le(image->data + image->header_bytes + 4);
    const uint32_t offset = (entry & ~1u) - (image->load_address + image->header_bytes);
    return (entry & 1u) != 0 && offset >= 8u && offset < image->body_bytes;
}

static bool is_same(const uint8_t *found, const uint8_t *wanted, uint32_t bytes) {
    return found != NULL && memcmp(found, wanted, bytes) == 0;
}

bool tyf_image_is_signed_with(const tyf_image *image, const uint8_t key[TYF_ED25519_KEY_BYTES]) {
    uint8_t digest[TYF_SHA256_BYTES];
    tyf_sha256 hash;
    tyf_sha256_init(&hash);
    tyf_sha256_update(&hash, spki_prefix, sizeof spki_prefix);
    tyf_sha256_update(&hash, key, TYF_ED25519_KEY_BYTES);
    tyf_sha256_final(&hash, digest);
    return is_same(image->key_hash, digest, sizeof digest);
}

/* The key that the image names, if it is one of ours. */
static const uint8_t *key_of(const tyf_image *image, const tyf_image_wanted *wanted) {
    for (uint32_t i = 0; i < wanted->key_count; i++) {
        if (tyf_image_is_signed_with(image, wanted->keys[i])) {
            return wanted->keys[i];
        }
    }
    return NULL;
}

tyf_status tyf_image_check_start(tyf_image_check_steps *check, const uint8_t *data, uint32_t capacity,
                                 const tyf_image_wanted *wanted) {
    tyf_image image;
    tyf_status status = tyf_image_read(&image, data, capacity);
    if (status != TYF_OK) {
        return status;
    }
    const bool is_firmware = wanted->kind == TYF_IMAGE_FIRMWARE;
    if (check_target(image.header_bytes, image.flags, image.load_address, wanted) != TYF_OK ||
        !is_same(image.vendor_id, wanted->vendor_id, TYF_IMAGE_ID_BYTES) ||
        !is_same(image.class_id, wanted->class_id, TYF_IMAGE_ID_BYTES) || !is_dependency_met(&image, wanted) ||
        (is_firmware && !has_entry(&image))) {
        return TYF_ERR_TARGET;
    }
    if (is_firmware && (image.counter == NULL || tyf_image_counter(&image) < wanted->least_counter)) {
        return TYF_ERR_ROLLBACK;
    }
    if (image.digest == NULL || image.key_hash == NULL || image.signature == NULL || key_of(&image, wanted) == NULL) {
        return TYF_ERR_SIGNATURE;
    }
    *check = (tyf_image_check_steps){.image = image, .wanted = wanted};
    tyf_sha256_init(&check->hash);
    return TYF_OK;
}

tyf_status tyf_image_check_step(tyf_image_check_steps *check, uint32_t bytes) {
    const tyf_image *image = &check->image;
    const uint32_t left = image->hashed_bytes - check->hashed_bytes;
    if (left > 0) {
        const uint32_t now = left < bytes ? left : bytes;
        tyf_sha256_update(&check->hash, image->data + check->hashed_bytes, now);
        check->hashed_bytes += now;
        return TYF_OK;
    }
    uint8_t digest[TYF_SHA256_BYTES];
    tyf_sha256_final(&check->hash, digest);
    const uint8_t *key = key_of(image, check->wanted);
    if (memcmp(digest, image->digest, sizeof digest) != 0 || key == NULL ||
        tyf_ed25519_verify(key, digest, sizeof digest, image->signature) != TYF_OK) {
        return TYF_ERR_SIGNATURE;
    }
    check->is_done = true;
    return TYF_OK;
}

tyf_status tyf_image_check(tyf_image *image, const uint8_t *data, uint32_t capacity, const tyf_image_wanted *wanted) {
    tyf_image_check_steps check;
    tyf_status status = tyf_image_check_start(&check, data, capacity, wanted);
    if (status == TYF_OK) {
        status = tyf_image_check_step(&check, check.image.hashed_bytes);
    }
    if (status == TYF_OK) {
        status = tyf_image_check_step(&check, 1u);
    }
    if (status == TYF_OK) {
        *image = check.image;
    }
    return status;
}

uint32_t tyf_image_counter(const tyf_image *image) {
    return image->counter != NULL ? tyf_get_u32_le(image->counter) : 0u;
}

int tyf_image_compare(const tyf_image_version *a, const tyf_image_version *b) {
    const uint32_t ours[4] = {a->major, a->minor, a->revision, a->build};
    const uint32_t theirs[4] = {b->major, b->minor, b->revision, b->build};
    for (unsigned i = 0; i < 4; i++) {
        if (ours[i] != theirs[i]) {
            return ours[i] < theirs[i] ? -1 : 1;
        }
    }
    return 0;
}

static uint32_t put_decimal(char *text, uint32_t value) {
    char digits[10];
    uint32_t count = 0;
    do {
        digits[count++] = (char)('0' + value % 10u);
        value /= 10u;
    } while (value > 0);
    for (uint32_t i = 0; i < count; i++) {
        text[i] = digits[count - 1u - i];
    }
    return count;
}

uint32_t tyf_image_version_text(const tyf_image_version *version, char text[TYF_IMAGE_VERSION_TEXT_BYTES]) {
    uint32_t count = put_decimal(text, version->major);
    text[count++] = '.';
    count += put_decimal(text + count, version->minor);
    text[count++] = '.';
    count += put_decimal(text + count, version->revision);
    if (version->build != 0) {
        text[count++] = '.';
        count += put_decimal(text + count, version->build);
    }
    text[count] = '\0';
    return count;
}
