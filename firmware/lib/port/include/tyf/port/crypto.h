/**
 * Cryptography by key ids, not by key bytes, so that keys may live where the program cannot read them. The software
 * back end is lib/crypto; a chip's own engine or secure world offers the same calls. 32-byte X25519, BLAKE2b (64
 * bytes), ChaCha20-Poly1305 (RFC 8439).
 *
 *     tyf_key mine, shared;
 *     uint8_t public_key[TYF_PUBLIC_KEY_BYTES];
 *
 *     if (tyf_port_key_generate(&mine, public_key) == TYF_OK && tyf_port_key_agree(mine, theirs, &shared) == TYF_OK) {
 *         tyf_port_key_derive(chain, shared, uses, outputs, 2);
 *     }
 *     tyf_port_key_destroy(&mine);
 *
 * Not for interrupts.
 */
#ifndef TYF_PORT_CRYPTO_H
#define TYF_PORT_CRYPTO_H

#include <stdint.h>

#include "tyf/core/wire.h"

#define TYF_PUBLIC_KEY_BYTES 32u
#define TYF_HASH_BYTES 64u
#define TYF_MAC_BYTES 16u

/** A key that the back end keeps; 0: none. */
typedef uint8_t tyf_key;

/** What a key is good for; for anything else it is refused with TYF_ERR_ARG. */
typedef enum {
    TYF_KEY_AGREE = 1, /**< private key of X25519 */
    TYF_KEY_DERIVE,    /**< goes into other keys, up to 64 bytes */
    TYF_KEY_AEAD,      /**< seals and opens records */
    TYF_KEY_PUBLIC,    /**< no secret: the one use whose bytes can be had back */
} tyf_key_use;

/**
 * Fill with bytes that nobody can predict and that no other boot ever saw.
 *
 * @return TYF_OK, or TYF_ERR_NO_IDENTITY when this board has no entropy: then it must not go on
 */
tyf_status tyf_port_random(uint8_t *out, uint32_t bytes);

/** Hash pieces[0 .. count - 1] one after the other. */
typedef struct {
    const void *data;
    uint32_t bytes;
} tyf_crypto_piece;
void tyf_port_hash(const tyf_crypto_piece *pieces, uint32_t count, uint8_t hash[TYF_HASH_BYTES]);

/** @return TYF_OK; TYF_ERR_ARG: more than 64 bytes, or not 32 for another use than DERIVE; TYF_ERR_STATE: no room */
tyf_status tyf_port_key_import(tyf_key_use use, const uint8_t *bytes, uint32_t count, tyf_key *key);

/** Make a pair for one agreement. @return TYF_OK, TYF_ERR_NO_IDENTITY or TYF_ERR_STATE (no room) */
tyf_status tyf_port_key_generate(tyf_key *key, uint8_t public_key[TYF_PUBLIC_KEY_BYTES]);

/** Forget a key, and set *key to 0; of 0: nothing. */
void tyf_port_key_destroy(tyf_key *key);

/** @return TYF_OK; TYF_ERR_ARG: their key has low order, so that the secret would be no secret; TYF_ERR_STATE: no room
 */
tyf_status tyf_port_key_agree(tyf_key mine, const uint8_t theirs[TYF_PUBLIC_KEY_BYTES], tyf_key *shared);

/**
 * HKDF (RFC 5869 with BLAKE2b): new keys from a chain key and a secret (0: an empty one). 64 bytes for DERIVE and
 * PUBLIC, the first 32 of them for AEAD. On error no output exists.
 *
 * @param uses     [count] what each output is for
 * @param outputs  [count] up to 3
 */
tyf_status tyf_port_key_derive(tyf_key chain, tyf_key secret, const tyf_key_use *uses, tyf_key *outputs,
                               uint32_t count);

/** Bytes of a TYF_KEY_PUBLIC. */
tyf_status tyf_port_key_export(tyf_key key, uint8_t bytes[TYF_HASH_BYTES]);

/**
 * Seal data in place.
 *
 * @param counter  never twice with one key
 * @param context  authenticated, not sealed
 */
tyf_status tyf_port_aead_seal(tyf_key key, uint64_t counter, tyf_crypto_piece context, uint8_t *data, uint32_t bytes,
                              uint8_t mac[TYF_MAC_BYTES]);

/** Open data in place. @return TYF_OK, or TYF_ERR_SIGNATURE with data as it was */
tyf_status tyf_port_aead_open(tyf_key key, uint64_t counter, tyf_crypto_piece context, uint8_t *data, uint32_t bytes,
                              const uint8_t mac[TYF_MAC_BYTES]);

#endif
