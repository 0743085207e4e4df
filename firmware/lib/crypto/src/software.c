/* tyf/port/crypto.h on Monocypher's primitives. */
#include "tyf/crypto/software.h"

#include <stdbool.h>
#include <string.h>

#include "monocypher.h"
#include "tyf/core/bytes.h"
#include "tyf/core/config.h"
#include "tyf/port/crypto.h"

/* For each link two of its session, two of one that is offered, and a pre-shared one; six while a session opens. */
#define KEYS (12u + 5u * TYF_CFG_BLE)
#define KEY_BYTES 64u
#define BLOCK_BYTES 128u /* of BLAKE2b */
#define NONCE_BYTES 12u
#define COUNTER_AT 4u

typedef struct {
    uint8_t use; /* 0: free */
    uint8_t count;
    uint8_t bytes[KEY_BYTES];
} stored_key;

static stored_key keys[KEYS];

static struct {
    bool is_seeded;
    uint8_t state[KEY_BYTES];
} generator;

void tyf_crypto_start(const uint8_t entropy[TYF_ENTROPY_BYTES]) {
    static const char purpose[] = "tinyfleet random";
    crypto_wipe(keys, sizeof keys);
    crypto_wipe(&generator, sizeof generator);
    if (entropy != NULL) {
        crypto_blake2b_keyed(generator.state, sizeof generator.state, entropy, TYF_ENTROPY_BYTES,
                             (const uint8_t *)purpose, sizeof purpose - 1u);
        generator.is_seeded = true;
    }
}

/* A block of output, then a new state: what was given cannot be computed from what is kept. */
tyf_status tyf_port_random(uint8_t *out, uint32_t bytes) {
    if (!generator.is_seeded) {
        return TYF_ERR_NO_IDENTITY;
    }
    while (bytes > 0) {
        static const uint8_t give = 1, keep = 2;
        uint8_t block[KEY_BYTES];
        const uint32_t count = bytes < sizeof block ? bytes : (uint32_t)sizeof block;
        crypto_blake2b_keyed(block, sizeof block, generator.state, sizeof generator.state, &give, 1);
        crypto_blake2b_keyed(generator.state, sizeof generator.state, generator.state, sizeof generator.state, &keep,
                             1);
        memcpy(out, block, count);
        crypto_wipe(block, sizeof block);
        out += count;
        bytes -= count;
    }
    return TYF_OK;
}

void tyf_port_hash(const tyf_crypto_piece *pieces, uint32_t count, uint8_t hash[TYF_HASH_BYTES]) {
    crypto_blake2b_ctx context;
    crypto_blake2b_init(&context, TYF_HASH_BYTES);
    for (uint32_t i = 0; i < count; i++) {
        crypto_blake2b_update(&context, pieces[i].data, pieces[i].bytes);
    }
    crypto_blake2b_final(&context, hash);
}

static const stored_key *find(tyf_key key, tyf_key_use use) {
    return key > 0 && key <= KEYS && keys[key - 1u].use == use ? &keys[key - 1u] : NULL;
}

tyf_status tyf_port_key_import(tyf_key_use use, const uint8_t *bytes, uint32_t count, tyf_key *key) {
    *key = 0;
    if (count > KEY_BYTES || ((use == TYF_KEY_AGREE || use == TYF_KEY_AEAD) && count != 32u)) {
        return TYF_ERR_ARG;
    }
    for (uint32_t i = 0; i < KEYS; i++) {
        if (keys[i].use == 0) {
            keys[i].use = (uint8_t)use;
            keys[i].count = (uint8_t)count;
            memcpy(keys[i].bytes, bytes, count);
            *key = (tyf_key)(i + 1u);
            return TYF_OK;
        }
    }
    return TYF_ERR_STATE;
}

tyf_status tyf_port_key_generate(tyf_key *key, uint8_t public_key[TYF_PUBLIC_KEY_BYTES]) {
    uint8_t secret[32];
    *key = 0;
    tyf_status status = tyf_port_random(secret, sizeof secret);
    if (status == TYF_OK) {
        status = tyf_port_key_import(TYF_KEY_AGREE, secret, sizeof secret, key);
    }
    if (status == TYF_OK) {
        crypto_x25519_public_key(public_key, secret);
    }
    crypto_wipe(secret, sizeof secret);
    return status;
}

void tyf_port_key_destroy(tyf_key *key) {
    if (*key > 0 && *key <= KEYS) {
        crypto_wipe(&keys[*key - 1u], sizeof keys[0]);
    }
    *key = 0;
}

tyf_status tyf_port_key_agree(tyf_key mine, const uint8_t theirs[TYF_PUBLIC_KEY_BYTES], tyf_key *shared) {
    static const uint8_t none[32] = {0};
    const stored_key *key = find(mine, TYF_KEY_AGREE);
    *shared = 0;
    if (key == NULL) {
        return TYF_ERR_ARG;
    }
    uint8_t secret[32];
    crypto_x25519(secret, key->bytes, theirs);
    const tyf_status status = crypto_verify32(secret, none) == 0
                                  ? TYF_ERR_ARG
                                  : tyf_port_key_import(TYF_KEY_DERIVE, secret, sizeof secret, shared);
    crypto_wipe(secret, sizeof secret);
    return status;
}

/* HMAC (RFC 2104) of two pieces, with a key no longer than a block. */
static void hmac(const uint8_t *key, uint32_t key_bytes, tyf_crypto_piece first, tyf_crypto_piece second,
                 uint8_t mac[TYF_HASH_BYTES]) {
    uint8_t pad[BLOCK_BYTES] = {0};
    memcpy(pad, key, key_bytes);
    for (uint32_t i = 0; i < sizeof pad; i++) {
        pad[i] ^= 0x36u;
    }
    tyf_port_hash((const tyf_crypto_piece[]){{pad, sizeof pad}, first, second}, 3, mac);
    for (uint32_t i = 0; i < sizeof pad; i++) {
        pad[i] ^= 0x36u ^ 0x5cu;
    }
    tyf_port_hash((const tyf_crypto_piece[]){{pad, sizeof pad}, {mac, TYF_HASH_BYTES}}, 2, mac);
    crypto_wipe(pad, sizeof pad);
}

tyf_status tyf_port_key_derive(tyf_key chain, tyf_key secret, const tyf_key_use *uses, tyf_key *outputs,
                               uint32_t count) {
    const stored_key *salt = find(chain, TYF_KEY_DERIVE);
    const stored_key *input = secret != 0 ? find(secret, TYF_KEY_DERIVE) : NULL;
    for (uint32_t i = 0; i < count; i++) {
        outputs[i] = 0;
    }
    if (salt == NULL || (secret != 0 && input == NULL)) {
        return TYF_ERR_ARG;
    }
    uint8_t extracted[TYF_HASH_BYTES], output[TYF_HASH_BYTES];
    const tyf_crypto_piece nothing = {output, 0};
    hmac(salt->bytes, salt->count, input != NULL ? (tyf_crypto_piece){input->bytes, input->count} : nothing, nothing,
         extracted);
    tyf_status status = TYF_OK;
    for (uint32_t i = 0; i < count && status == TYF_OK; i++) {
        const uint8_t number = (uint8_t)(i + 1u);
        hmac(extracted, sizeof extracted, (tyf_crypto_piece){output, i == 0 ? 0 : TYF_HASH_BYTES},
             (tyf_crypto_piece){&number, 1}, output);
        status = tyf_port_key_import(uses[i], output, uses[i] == TYF_KEY_AEAD ? 32u : TYF_HASH_BYTES, &outputs[i]);
    }
    crypto_wipe(extracted, sizeof extracted);
    crypto_wipe(output, sizeof output);
    for (uint32_t i = 0; status != TYF_OK && i < count; i++) {
        tyf_port_key_destroy(&outputs[i]);
    }
    return status;
}

tyf_status tyf_port_key_export(tyf_key key, uint8_t bytes[TYF_HASH_BYTES]) {
    const stored_key *found = find(key, TYF_KEY_PUBLIC);
    if (found == NULL || found->count != TYF_HASH_BYTES) {
        return TYF_ERR_ARG;
    }
    memcpy(bytes, found->bytes, TYF_HASH_BYTES);
    return TYF_OK;
}

/* Monocypher's incremental interface: its first message is that of RFC 8439. */
static const stored_key *begin(crypto_aead_ctx *context, tyf_key key, uint64_t counter) {
    const stored_key *found = find(key, TYF_KEY_AEAD);
    if (found != NULL) {
        uint8_t nonce[NONCE_BYTES] = {0};
        tyf_put_u32_le(nonce + COUNTER_AT, (uint32_t)counter);
        tyf_put_u32_le(nonce + COUNTER_AT + 4u, (uint32_t)(counter >> 32));
        crypto_aead_init_ietf(context, found->bytes, nonce);
    }
    return found;
}

tyf_status tyf_port_aead_seal(tyf_key key, uint64_t counter, tyf_crypto_piece context, uint8_t *data, uint32_t bytes,
                              uint8_t mac[TYF_MAC_BYTES]) {
    crypto_aead_ctx aead;
    if (begin(&aead, key, counter) == NULL) {
        return TYF_ERR_ARG;
    }
    crypto_aead_write(&aead, data, mac, context.data, context.bytes, data, bytes);
    crypto_wipe(&aead, sizeof aead);
    return TYF_OK;
}

tyf_status tyf_port_aead_open(tyf_key key, uint64_t counter, tyf_crypto_piece context, uint8_t *data, uint32_t bytes,
                              const uint8_t mac[TYF_MAC_BYTES]) {
    crypto_aead_ctx aead;
    if (begin(&aead, key, counter) == NULL) {
        return TYF_ERR_ARG;
    }
    const int refused = crypto_aead_read(&aead, data, mac, context.data, context.bytes, data, bytes);
    crypto_wipe(&aead, sizeof aead);
    return refused != 0 ? TYF_ERR_SIGNATURE : TYF_OK;
}
