/**
 * Ed25519 signatures (RFC 8032), verification only. Nothing here is secret, so nothing runs in constant time.
 *
 *     if (tyf_ed25519_verify(key, digest, sizeof digest, signature) != TYF_OK) {
 *         return TYF_ERR_SIGNATURE;
 *     }
 */
#ifndef TYF_CRYPTO_ED25519_H
#define TYF_CRYPTO_ED25519_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tyf/core/wire.h"

#define TYF_ED25519_KEY_BYTES 32u
#define TYF_ED25519_SIGNATURE_BYTES 64u

/**
 * Whether a public key may be trusted at all. A key of small order accepts a forged signature of any message, and a
 * blank key store reads as one: all 0x00 is of order 4. Refused are those and every encoding that is not canonical,
 * among them all 0xff.
 */
bool tyf_ed25519_is_key(const uint8_t key[TYF_ED25519_KEY_BYTES]);

/**
 * Check a signature. Takes some 1.8 million instructions on a Cortex-M4 and 2.5 KB of stack.
 *
 * @param[in] message any bytes, read twice at most
 *
 * @return TYF_OK, or TYF_ERR_SIGNATURE when the key is none or the signature is not its signature of this message
 */
tyf_status tyf_ed25519_verify(const uint8_t key[TYF_ED25519_KEY_BYTES], const void *message, size_t bytes,
                              const uint8_t signature[TYF_ED25519_SIGNATURE_BYTES]);

#endif
