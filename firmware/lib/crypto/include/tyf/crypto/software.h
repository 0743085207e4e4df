/** The software back end of tyf/port/crypto.h: keys in RAM, randomness from the identity's entropy. */
#ifndef TYF_CRYPTO_SOFTWARE_H
#define TYF_CRYPTO_SOFTWARE_H

#include <stdint.h>

#include "tyf/core/wire.h"

/**
 * Forget all keys and start the generator of random bytes.
 *
 * @param entropy  of this boot and no other (tyf_identity: ratcheted and durable before use); NULL: there is none
 */
void tyf_crypto_start(const uint8_t entropy[TYF_ENTROPY_BYTES]);

#endif
