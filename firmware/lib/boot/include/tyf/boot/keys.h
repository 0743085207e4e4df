/**
 * The two public keys that are pinned when a program is built: `tinyfleet build --signed` writes tyf_keys.h. Without it
 * both are all zeros, which no signature check takes for a key.
 *
 * A model key never signs firmware: each check is given one kind of key.
 */
#ifndef TYF_BOOT_KEYS_H
#define TYF_BOOT_KEYS_H

#include <stdint.h>

#include "tyf/crypto/ed25519.h"

extern const uint8_t tyf_firmware_key[TYF_ED25519_KEY_BYTES];
extern const uint8_t tyf_model_key[TYF_ED25519_KEY_BYTES];

#endif
