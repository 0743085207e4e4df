/**
 * What must never go back: the security counter, and which keys may sign firmware. A log of records in the areas
 * counter_0 and counter_1, each with all of it; the newest intact one counts, wherever power was cut.
 *
 *     tyf_security security;
 *     tyf_security_read(&security);
 *     security.counter = 7;
 *     tyf_status status = tyf_security_write(&security);
 *
 * Rotation of the firmware key: an image that is signed with the key of today and carries the next one makes both
 * valid when it is confirmed; the first confirmed image that the next one signed makes it the only one.
 */
#ifndef TYF_BOOT_SECURITY_H
#define TYF_BOOT_SECURITY_H

#include <stdbool.h>
#include <stdint.h>

#include "tyf/boot/image.h"
#include "tyf/core/wire.h"
#include "tyf/crypto/ed25519.h"

typedef struct {
    uint32_t sequence; /**< of the record; 0: nothing was ever recorded */
    uint32_t counter;  /**< least security counter of firmware that may run */
    uint8_t key[TYF_ED25519_KEY_BYTES];
    uint8_t next_key[TYF_ED25519_KEY_BYTES]; /**< all 0xff: none */
} tyf_security;

/** Read the newest record; without one the counter is 0 and the key the pinned one. */
void tyf_security_read(tyf_security *security);

/**
 * Record what security says, durably when it returns; its sequence is set. Two copies are written; one is enough.
 *
 * @return TYF_OK; TYF_ERR_ARG: the counter would go back; TYF_ERR_STATE: this board has no areas for it; TYF_ERR_FLASH
 */
tyf_status tyf_security_write(tyf_security *security);

/**
 * Record what follows from an image that is confirmed: its security counter, and its keys. Writes nothing when all of
 * it is recorded.
 *
 * @param[in] image checked: what it says is signed
 *
 * @return as tyf_security_write()
 */
tyf_status tyf_security_advance(const tyf_image *image);

#endif
