#include "tyf/core/sha256.h"

#include <string.h>

#include "tyf/core/bytes.h"

#define BLOCK_BYTES 64u

static const uint32_t round_constant[64] = {
    0x428a2f98u, 0x71374491u, 0xb5c0fbcfu, 0xe9b5dba5u, 0x3956c25bu, 0x59f111f1u, 0x923f82a4u, 0xab1c5ed5u,
    0xd807aa98u, 0x12835b01u, 0x243185beu, 0x550c7dc3u, 0x72be5d74u, 0x80deb1feu, 0x9bdc06a7u, 0xc19bf174u,
    0xe49b69c1u, 0xefbe4786u, 0x0fc19dc6u, 0x240ca1ccu, 0x2de92c6fu, 0x4a7484aau, 0x5cb0a9dcu, 0x76f988dau,
    0x983e5152u, 0xa831c66du, 0xb00327c8u, 0xbf597fc7u, 0xc6e00bf3u, 0xd5a79147u, 0x06ca6351u, 0x14292967u,
    0x27b70a85u, 0x2e1b2138u, 0x4d2c6dfcu, 0x53380d13u, 0x650a7354u, 0x766a0abbu, 0x81c2c92eu, 0x92722c85u,
    0xa2bfe8a1u, 0xa81a664bu, 0xc24b8b70u, 0xc76c51a3u, 0xd192e819u, 0xd6990624u, 0xf40e3585u, 0x106aa070u,
    0x19a4c116u, 0x1e376c08u, 0x2748774cu, 0x34b0bcb5u, 0x391c0cb3u, 0x4ed8aa4au, 0x5b9cca4fu, 0x682e6ff3u,
    0x748f82eeu, 0x78a5636fu, 0x84c87814u, 0x8cc70208u, 0x90befffau, 0xa4506cebu, 0xbef9a3f7u, 0xc67178f2u,
};

static inline uint32_t rotate_right(uint32_t x, unsigned n) {
    return x >> n | x << (32u - n);
}

/* One round. The eight names rotate from call to call instead of their values; eight calls make a full turn. */
#define ROUND(a, b, c, d, e, f, g, h, i)                                                                               \
    do {                                                                                                               \
        h += (rotate_right(e, 6) ^ rotate_right(e, 11) ^ rotate_right(e, 25)) + (g ^ (e & (f ^ g))) + constant[i] +    \
             word[i];                                                                                                  \
        d += h;                                                                                                        \
        h += (rotate_right(a, 2) ^ rotate_right(a, 13) ^ rotate_right(a, 22)) + ((a & b) | (c & (a | b)));             \
    } while (0)

static void compress(uint32_t state[8], const uint8_t *block) {
    uint32_t w[64];
    for (unsigned i = 0; i < 16; i++) {
        w[i] = tyf_get_u32_be(block + 4u * i);
    }
    for (uint32_t *p = w; p < w + 48; p++) {
        uint32_t s0 = rotate_right(p[1], 7) ^ rotate_right(p[1], 18) ^ p[1] >> 3;
        uint32_t s1 = rotate_right(p[14], 17) ^ rotate_right(p[14], 19) ^ p[14] >> 10;
        p[16] = p[0] + s0 + p[9] + s1;
    }
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
    uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
    const uint32_t *constant = round_constant;
    for (const uint32_t *word = w; word < w + 64; word += 8, constant += 8) {
        ROUND(a, b, c, d, e, f, g, h, 0);
        ROUND(h, a, b, c, d, e, f, g, 1);
        ROUND(g, h, a, b, c, d, e, f, 2);
        ROUND(f, g, h, a, b, c, d, e, 3);
        ROUND(e, f, g, h, a, b, c, d, 4);
        ROUND(d, e, f, g, h, a, b, c, 5);
        ROUND(c, d, e, f, g, h, a, b, 6);
        ROUND(b, c, d, e, f, g, h, a, 7);
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
    state[5] += f;
    state[6] += g;
    state[7] += h;
}

void tyf_sha256_init(tyf_sha256 *hash) {
    static const uint32_t initial[8] = {0x6a09e667u, 0xbb67ae85u, 0x3c6ef372u, 0xa54ff53au,
                                        0x510e527fu, 0x9b05688cu, 0x1f83d9abu, 0x5be0cd19u};
    memcpy(hash->state, initial, sizeof initial);
    hash->total_bytes = 0;
}

void tyf_sha256_update(tyf_sha256 *hash, const void *data, size_t bytes) {
    const uint8_t *p = data;
    size_t held = (size_t)(hash->total_bytes % BLOCK_BYTES);
    hash->total_bytes += bytes;
    while (bytes > 0) {
        if (held == 0 && bytes >= BLOCK_BYTES) {
            compress(hash->state, p);
            p += BLOCK_BYTES;
            bytes -= BLOCK_BYTES;
            continue;
        }
        size_t take = BLOCK_BYTES - held < bytes ? BLOCK_BYTES - held : bytes;
        memcpy(hash->block + held, p, take);
        held += take;
        p += take;
        bytes -= take;
        if (held == BLOCK_BYTES) {
            compress(hash->state, hash->block);
            held = 0;
        }
    }
}

void tyf_sha256_final(tyf_sha256 *hash, uint8_t digest[TYF_SHA256_BYTES]) {
    const uint64_t total_bits = hash->total_bytes * 8u;
    size_t held = (size_t)(hash->total_bytes % BLOCK_BYTES);
    hash->block[held++] = 0x80;
    if (held > BLOCK_BYTES - 8u) {
        memset(hash->block + held, 0, BLOCK_BYTES - held);
        compress(hash->state, hash->block);
        held = 0;
    }
    memset(hash->block + held, 0, BLOCK_BYTES - 8u - held);
    tyf_put_u32_be(hash->block + BLOCK_BYTES - 8u, (uint32_t)(total_bits >> 32));
    tyf_put_u32_be(hash->block + BLOCK_BYTES - 4u, (uint32_t)total_bits);
    compress(hash->state, hash->block);
    for (unsigned i = 0; i < 8; i++) {
        tyf_put_u32_be(digest + 4u * i, hash->state[i]);
    }
}
