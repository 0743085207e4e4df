/**
 * SHA-512 (FIPS 180-4), for Ed25519: small rather than fast.
 *
 *     uint8_t digest[TYF_SHA512_BYTES];
 *     tyf_sha512 hash;
 *     tyf_sha512_init(&hash);
 *     tyf_sha512_update(&hash, message, message_bytes);
 *     tyf_sha512_final(&hash, digest);
 */
#ifndef TYF_CRYPTO_SHA512_H
#define TYF_CRYPTO_SHA512_H

#include <stddef.h>
#include <stdint.h>

#define TYF_SHA512_BYTES 64u

/** A hash in progress. Private fields. */
typedef struct {
    uint64_t state[8];
    uint64_t total_bytes;
    uint8_t block[128];
} tyf_sha512;

/** Start a new hash. */
void tyf_sha512_init(tyf_sha512 *hash);

/** Add bytes; any number of times, any sizes. */
void tyf_sha512_update(tyf_sha512 *hash, const void *data, size_t bytes);

/** Write the digest. The hash must be started again before it is used again. */
void tyf_sha512_final(tyf_sha512 *hash, uint8_t digest[TYF_SHA512_BYTES]);

#endif
