/**
 * SHA-256 (FIPS 180-4).
 *
 *     uint8_t digest[TYF_SHA256_BYTES];
 *     tyf_sha256 hash;
 *     tyf_sha256_init(&hash);
 *     tyf_sha256_update(&hash, output, output_bytes);
 *     tyf_sha256_final(&hash, digest);
 */
#ifndef TYF_CORE_SHA256_H
#define TYF_CORE_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define TYF_SHA256_BYTES 32u

/** A hash in progress. Private fields. */
typedef struct {
    uint32_t state[8];
    uint64_t total_bytes;
    uint8_t block[64];
} tyf_sha256;

/** Start a new hash. */
void tyf_sha256_init(tyf_sha256 *hash);

/** Add bytes; any number of times, any sizes. */
void tyf_sha256_update(tyf_sha256 *hash, const void *data, size_t bytes);

/** Write the digest. The hash must be started again before it is used again. */
void tyf_sha256_final(tyf_sha256 *hash, uint8_t digest[TYF_SHA256_BYTES]);

#endif
