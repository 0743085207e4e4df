#include "tyf/crypto/ed25519.h"

#include <string.h>

#include "monocypher.h"
#include "tyf/crypto/sha512.h"

/* y of the points of order 8, one of each pair of opposites; the other one is p - y. Found as the roots of
 * d y^4 + 2 y^2 - 1 modulo p = 2^255 - 19, with d of the curve. Little-endian. */
static const uint8_t order_8[2][TYF_ED25519_KEY_BYTES] = {
    {0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
     0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05},
    {0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
     0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a},
};

/* Of the bytes between the first and the last: whether all are value. */
static bool are_all(const uint8_t y[TYF_ED25519_KEY_BYTES], uint8_t value) {
    for (unsigned i = 1; i < TYF_ED25519_KEY_BYTES - 1u; i++) {
        if (y[i] != value) {
            return false;
        }
    }
    return true;
}

bool tyf_ed25519_is_key(const uint8_t key[TYF_ED25519_KEY_BYTES]) {
    uint8_t y[TYF_ED25519_KEY_BYTES];
    memcpy(y, key, sizeof y);
    y[31] &= 0x7fu; /* the sign of x: a point and its opposite have the same order */
    bool is_zero_or_one = y[31] == 0 && y[0] <= 1u && are_all(y, 0);
    bool is_minus_one_or_not_canonical = y[31] == 0x7fu && y[0] >= 0xecu && are_all(y, 0xffu); /* p - 1 .. 2^255 - 1 */
    return !is_zero_or_one && !is_minus_one_or_not_canonical && memcmp(y, order_8[0], sizeof y) != 0 &&
           memcmp(y, order_8[1], sizeof y) != 0;
}

tyf_status tyf_ed25519_verify(const uint8_t key[TYF_ED25519_KEY_BYTES], const void *message, size_t bytes,
                              const uint8_t signature[TYF_ED25519_SIGNATURE_BYTES]) {
    if (!tyf_ed25519_is_key(key)) {
        return TYF_ERR_SIGNATURE;
    }
    uint8_t digest[TYF_SHA512_BYTES], scalar[32];
    tyf_sha512 hash;
    tyf_sha512_init(&hash);
    tyf_sha512_update(&hash, signature, 32);
    tyf_sha512_update(&hash, key, TYF_ED25519_KEY_BYTES);
    tyf_sha512_update(&hash, message, bytes);
    tyf_sha512_final(&hash, digest);
    crypto_eddsa_reduce(scalar, digest);
    return crypto_eddsa_check_equation(signature, key, scalar) == 0 ? TYF_OK : TYF_ERR_SIGNATURE;
}
