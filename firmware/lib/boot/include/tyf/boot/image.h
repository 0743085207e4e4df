/**
 * A signed image, read and checked where it lies: firmware in an update slot, or a model package. MCUboot's format;
 * docs/spec/image.md has each byte.
 *
 *     tyf_image image;
 *     tyf_status status = tyf_image_check(&image, slot, slot_bytes, &wanted);
 *
 * or in steps, so that other work runs between them:
 *
 *     tyf_image_check_steps check;
 *     tyf_status status = tyf_image_check_start(&check, slot, slot_bytes, &wanted);
 *     while (status == TYF_OK && !check.is_done) {
 *         status = tyf_image_check_step(&check, TYF_FLASH_PAGE_BYTES);
 *     }
 *
 * Nothing here writes, and nothing outside [data, data + capacity) is read whatever the bytes are.
 */
#ifndef TYF_BOOT_IMAGE_H
#define TYF_BOOT_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "tyf/core/sha256.h"
#include "tyf/core/wire.h"
#include "tyf/crypto/ed25519.h"

#define TYF_IMAGE_ID_BYTES 16u
#define TYF_IMAGE_VERSION_TEXT_BYTES 28u

typedef struct {
    uint8_t major;
    uint8_t minor;
    uint16_t revision;
    uint32_t build;
} tyf_image_version;

/** What the bytes say; nobody has vouched for it before the check is done. Pointers lead into the image, or are NULL.
 */
typedef struct {
    const uint8_t *data;
    uint32_t header_bytes; /**< the body begins there */
    uint32_t body_bytes;
    uint32_t hashed_bytes; /**< header, body and protected entries */
    uint32_t image_bytes;  /**< all of it */
    uint32_t flags;
    uint32_t load_address;
    tyf_image_version version;
    const uint8_t *digest;     /**< [32] of the hashed bytes; by it hosts name an image */
    const uint8_t *key_hash;   /**< [32] */
    const uint8_t *signature;  /**< [64] */
    const uint8_t *vendor_id;  /**< [16], protected as all below */
    const uint8_t *class_id;   /**< [16] */
    const uint8_t *counter;    /**< [4] security counter */
    const uint8_t *dependency; /**< [12] */
    const uint8_t *next_key;   /**< [32] */
} tyf_image;

typedef enum {
    TYF_IMAGE_FIRMWARE,
    TYF_IMAGE_MODEL,
} tyf_image_kind;

/** What an image must be. */
typedef struct {
    tyf_image_kind kind;
    uint32_t address; /**< firmware: of the first byte of its slot */
    const uint8_t *vendor_id;
    const uint8_t *class_id;
    uint32_t least_counter; /**< firmware must have a security counter of at least this */
    const uint8_t (*keys)[TYF_ED25519_KEY_BYTES];
    uint32_t key_count;                /**< any of these may have signed */
    const tyf_image_version *firmware; /**< running, which a model may depend on; NULL: no dependency can be met */
} tyf_image_wanted;

/** A check in progress. Private but for image and is_done. */
typedef struct {
    tyf_image image;
    bool is_done;
    const tyf_image_wanted *wanted;
    tyf_sha256 hash;
    uint32_t hashed_bytes;
} tyf_image_check_steps;

/**
 * Read the structure: lengths, entries, each at most once and in the area where it belongs.
 *
 * @param[out] image     untouched on error
 * @param[in]  data      must outlive the image
 * @param[in]  capacity  readable from data on, at least 1
 *
 * @return TYF_OK or TYF_ERR_FORMAT
 */
tyf_status tyf_image_read(tyf_image *image, const uint8_t *data, uint32_t capacity);

/**
 * Of the first bytes of an upload: whether this can become what is wanted.
 *
 * @param[in] bytes     at hand, at least TYF_IMAGE_HEADER_BYTES or the answer is TYF_OK: too early to know
 * @param[in] capacity  of the slot, without its trailer
 *
 * @return TYF_OK; TYF_ERR_FORMAT: no image, or one that does not fit; TYF_ERR_TARGET: linked for another address, or of
 *         the other kind
 */
tyf_status tyf_image_check_header(const uint8_t *data, uint32_t bytes, uint32_t capacity,
                                  const tyf_image_wanted *wanted);

/**
 * Check all that needs no hash, and begin the check. Steps may be taken at any pace, while the bytes do not change.
 *
 * @return TYF_OK; TYF_ERR_FORMAT; TYF_ERR_TARGET: other board, address or kind, or a dependency that is not met;
 *         TYF_ERR_ROLLBACK: security counter too low; TYF_ERR_SIGNATURE: not signed by one of the keys
 */
tyf_status tyf_image_check_start(tyf_image_check_steps *check, const uint8_t *data, uint32_t capacity,
                                 const tyf_image_wanted *wanted);

/**
 * Hash up to that many bytes more; the last step compares the digest and verifies the signature (1.8 M instructions).
 *
 * @param[in] bytes at least 1
 *
 * @return TYF_OK, with is_done set when the image is good; TYF_ERR_SIGNATURE: it is not
 */
tyf_status tyf_image_check_step(tyf_image_check_steps *check, uint32_t bytes);

/** The whole check at once. @return as tyf_image_check_start(); image is untouched on error */
tyf_status tyf_image_check(tyf_image *image, const uint8_t *data, uint32_t capacity, const tyf_image_wanted *wanted);

/** Whether an image names this key as its signer's; of a checked image that it is. */
bool tyf_image_is_signed_with(const tyf_image *image, const uint8_t key[TYF_ED25519_KEY_BYTES]);

/** @return the security counter of an image, 0 when it has none */
uint32_t tyf_image_counter(const tyf_image *image);

/** @return < 0, 0 or > 0 as a is older than, equal to or newer than b; the build number counts last */
int tyf_image_compare(const tyf_image_version *a, const tyf_image_version *b);

/** Write "1.2.3" or "1.2.3.4", as SMP clients show it. @return bytes without the final zero */
uint32_t tyf_image_version_text(const tyf_image_version *version, char text[TYF_IMAGE_VERSION_TEXT_BYTES]);

#endif
