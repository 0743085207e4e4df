/* Random damage to blobs, the same on the host and on a board. */
#ifndef DAMAGE_H
#define DAMAGE_H

#include <stdint.h>
#include <string.h>

#include "tyf/core/bytes.h"
#include "tyf/model/blob.h"

typedef struct {
    const uint8_t *data;
    uint32_t bytes;
} file;

static uint64_t random_state;
static uint64_t round_seed;

static uint32_t random_u32(void) {
    random_state += 0x9E3779B97F4A7C15u;
    uint64_t z = random_state;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return (uint32_t)(z >> 32);
}

static uint32_t below(uint32_t limit) {
    return (uint32_t)((uint64_t)random_u32() * limit >> 32);
}

/* Where a change is likely to matter, found in the undamaged blob: header, steps, parameters. */
static uint32_t interesting_place(const file *whole) {
    const uint8_t *blob = whole->data;
    const uint32_t steps = tyf_get_u32_le(blob + TYF_BLOB_STEPS_OFFSET);
    const uint32_t after = tyf_get_u32_le(blob + TYF_BLOB_NAME_OFFSET);
    switch (below(8)) {
    case 0:
        return below(whole->bytes);
    case 1:
        return below(TYF_BLOB_HEADER_BYTES);
    case 2:
    case 3:
        return steps + below(after - steps);
    default: {
        /* The first argument of a step is mostly its parameters; steps without arguments have no such word. */
        uint32_t at = steps;
        for (uint32_t skip = below(tyf_get_u32_le(blob + TYF_BLOB_STEP_COUNT_OFFSET)); skip > 0; skip--) {
            at += 4u + 4u * blob[at + 1] + ((blob[at + 2] & TYF_BLOB_FLAG_LAYER) != 0 ? 8u : 0u);
        }
        const uint32_t params = tyf_get_u32_le(blob + at + 4) & ~TYF_BLOB_IN_ARENA;
        return params + below(96);
    }
    }
}

static uint32_t interesting_value(const uint8_t *blob, uint32_t bytes) {
    static const uint32_t values[] = {0,          1,          2,          3,          4,          15,
                                      16,         127,        128,        255,        256,        32767,
                                      32768,      65535,      65536,      0x7FFFFFFF, 0x80000000, 0x80000001,
                                      0xFFFFFFFE, 0xFFFFFFFF, 0x40000000, 0x10000000, 46341u,     0x80000010};
    switch (below(4)) {
    case 0:
        return values[below(sizeof values / sizeof values[0])];
    case 1:
        return below(bytes + 64u);
    case 2:
        return tyf_get_u32_le(blob + 4u * below(bytes / 4u));
    default:
        return random_u32();
    }
}

/* One change; the number of bytes that are left. */
static uint32_t mutate(const file *whole, uint8_t *blob, uint32_t bytes) {
    const uint32_t at = interesting_place(whole) % bytes;
    const uint32_t word = at / 4u * 4u, half = at / 2u * 2u;
    switch (below(16)) {
    case 0:
    case 1:
    case 2:
        blob[at] ^= (uint8_t)(1u << below(8));
        return bytes;
    case 3:
    case 4:
        blob[at] = (uint8_t)random_u32();
        return bytes;
    case 5: {
        const uint32_t left = bytes - below(bytes / 4u + 1u);
        if (below(2) == 0) {
            tyf_put_u32_le(blob + TYF_BLOB_BLOB_BYTES_OFFSET, left);
        }
        return left;
    }
    case 6:
    case 7:
    case 8:
        if (half + 2u <= bytes) {
            tyf_put_u16_le(blob + half, (uint16_t)interesting_value(blob, bytes));
        }
        return bytes;
    case 9:
    case 10:
        if (half + 2u <= bytes) {
            tyf_put_u16_le(blob + half, (uint16_t)(tyf_get_u16_le(blob + half) + below(7) - 3u));
        }
        return bytes;
    case 11:
    case 12:
        if (word + 4u <= bytes) {
            tyf_put_u32_le(blob + word,
                           tyf_get_u32_le(blob + word) + (below(2) == 0 ? below(9) - 4u : 16u * (below(9) - 4u)));
        }
        return bytes;
    default:
        if (word + 4u <= bytes) {
            tyf_put_u32_le(blob + word, interesting_value(blob, bytes));
        }
        return bytes;
    }
}

/* A copy of some file with one to three changes; the number of bytes that are left. */
static uint32_t make_damaged(uint64_t seed, const file *files, uint32_t count, uint8_t *damaged) {
    round_seed = random_state = seed;
    const file *from = &files[below(count)];
    uint32_t bytes = from->bytes;
    memcpy(damaged, from->data, bytes);
    for (uint32_t changes = 1u + below(3); changes > 0 && bytes > TYF_BLOB_HEADER_BYTES; changes--) {
        bytes = mutate(from, damaged, bytes);
    }
    return bytes;
}

#endif
