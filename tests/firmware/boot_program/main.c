/*
 * lib/boot's image check behind a pipe, framed as tests/firmware/program/main.c does. The image of each request lies in
 * memory of exactly its size, so that a sanitizer sees a read beyond it.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tyf/boot/slots.h"
#include "tyf/core/bytes.h"
#include "tyf/host_board_facts.h"
#include "tyf/host_flash.h"

static uint8_t memory[TYF_BOARD_NVM_BYTES];
static uint8_t reply[64];

/* firmware_running is the version that a model may depend on; NULL: none. */
static void trust_of(uint32_t kind, tyf_boot_trust *trust, uint32_t least_counter, const tyf_image_version *running) {
    if (kind < TYF_BOOT_SLOTS) {
        tyf_boot_trust_firmware(kind, trust);
        trust->wanted.least_counter = least_counter;
    } else {
        tyf_boot_trust_model(trust);
        trust->wanted.firmware = running;
    }
}

/* Takes the steps of a check by pages; whatever the bytes, each field that comes out lies inside them. */
static tyf_status check(const uint8_t *data, uint32_t bytes, const tyf_image_wanted *wanted) {
    tyf_image image;
    tyf_status status = tyf_image_check(&image, data, bytes, wanted);
    tyf_image_check_steps steps;
    tyf_status in_steps = tyf_image_check_start(&steps, data, bytes, wanted);
    while (in_steps == TYF_OK && !steps.is_done) {
        in_steps = tyf_image_check_step(&steps, 4096u);
    }
    if (in_steps != status ||
        (status == TYF_OK && (image.image_bytes > bytes || image.hashed_bytes > image.image_bytes))) {
        abort();
    }
    return status;
}

/* An image in memory of its own size. */
static tyf_status check_exactly(const uint8_t *data, uint32_t bytes, const tyf_image_wanted *wanted) {
    uint8_t *exact = malloc(bytes > 0 ? bytes : 1u);
    if (exact == NULL) {
        abort();
    }
    memcpy(exact, data, bytes);
    tyf_status status = check(exact, bytes, wanted);
    if (status == TYF_OK && tyf_image_check_header(exact, bytes, bytes, wanted) != TYF_OK) {
        abort();
    }
    free(exact);
    return status;
}

static uint32_t random_state;

static uint32_t random_below(uint32_t limit) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    random_state ^= random_state << 5;
    return random_state % limit;
}

/* One change, mostly where the structure is: a bit, a 16- or 32-bit field, a piece moved, the end cut. */
static uint32_t damage(uint8_t *data, uint32_t bytes) {
    static const uint32_t special[] = {
        0,     1,      2,      3,      4,       8,          31,          32,          33,          0x1ff,  0x200,
        0x201, 0x7fff, 0x8000, 0xffff, 0x10000, 0x7fffffff, 0x80000000u, 0xfffffffcu, 0xffffffffu, 0x6907, 0x6908};
    if (bytes < 8) {
        return bytes;
    }
    const uint32_t near = random_below(3);
    const uint32_t span = bytes < 280u ? bytes : 280u;
    const uint32_t at = near == 0   ? random_below(32u < bytes ? 32u : bytes)
                        : near == 1 ? bytes - 1u - random_below(span)
                                    : random_below(bytes);
    const uint32_t value = special[random_below(sizeof special / sizeof *special)];
    switch (random_below(6)) {
    case 0:
        data[at] ^= (uint8_t)(1u << random_below(8));
        return bytes;
    case 1:
        if (at + 2u <= bytes) {
            tyf_put_u16_le(data + at, (uint16_t)value);
        }
        return bytes;
    case 2:
        if (at + 4u <= bytes) {
            tyf_put_u32_le(data + at, value);
        }
        return bytes;
    case 3:
        if (at + 2u <= bytes) {
            tyf_put_u16_le(data + at, (uint16_t)(tyf_get_u16_le(data + at) + random_below(9) - 4u));
        }
        return bytes;
    case 4: {
        const uint32_t from = random_below(bytes), most = bytes - (at > from ? at : from);
        memmove(data + at, data + from, random_below(most < 80u ? most + 1u : 80u));
        return bytes;
    }
    default:
        return at;
    }
}

/* u32 kind, seed, rounds, then images, each with a u32 length before it -> u32 rounds, accepted, refused by structure
 */
static uint32_t fuzz(const uint8_t *data, uint32_t bytes) {
    tyf_boot_trust trust;
    trust_of(tyf_get_u32_le(data), &trust, 0, NULL);
    random_state = tyf_get_u32_le(data + 4) | 1u;
    const uint32_t rounds = tyf_get_u32_le(data + 8);
    const uint8_t *images[16];
    uint32_t sizes[16], count = 0;
    for (uint32_t at = 12; at < bytes && count < 16u; count++) {
        sizes[count] = tyf_get_u32_le(data + at);
        images[count] = data + at + 4;
        at += 4u + sizes[count];
    }
    uint32_t accepted = 0, malformed = 0;
    for (uint32_t round = 0; round < rounds; round++) {
        const uint32_t which = random_below(count);
        uint8_t *changed = malloc(sizes[which]);
        if (changed == NULL) {
            abort();
        }
        memcpy(changed, images[which], sizes[which]);
        uint32_t left = sizes[which];
        for (uint32_t i = random_below(3); i < 3; i++) {
            left = damage(changed, left);
        }
        const tyf_status status = check_exactly(changed, left, &trust.wanted);
        malformed += status == TYF_ERR_FORMAT;
        if (status == TYF_OK) {
            accepted++;
            if (left != sizes[which] || memcmp(changed, images[which], left) != 0) {
                /* Bytes that are not signed are accepted only behind all that is. */
                tyf_image image;
                if (tyf_image_read(&image, changed, left) != TYF_OK ||
                    memcmp(changed, images[which], image.hashed_bytes) != 0) {
                    fprintf(stderr, "accepted after damage in round %u\n", (unsigned)round);
                    abort();
                }
            }
        }
        free(changed);
    }
    tyf_put_u32_le(reply, rounds);
    tyf_put_u32_le(reply + 4, accepted);
    tyf_put_u32_le(reply + 8, malformed);
    return 12;
}

static uint32_t handle(int letter, const uint8_t *data, uint32_t bytes) {
    tyf_boot_trust trust;
    static const tyf_image_version running = {.major = 1, .minor = 5};
    switch (letter) {
    case 'C': /* u32 kind (slot, or 2: model), u32 least counter, u32 whether a firmware 1.5.0 runs, image -> status */
        trust_of(tyf_get_u32_le(data), &trust, tyf_get_u32_le(data + 4), tyf_get_u32_le(data + 8) ? &running : NULL);
        reply[0] = (uint8_t)check_exactly(data + 12, bytes - 12u, &trust.wanted);
        return 1;
    case 'K': /* key that is pinned, firmware image for slot 0 -> status */
        trust_of(0, &trust, 0, NULL);
        memcpy(trust.keys[0], data, sizeof trust.keys[0]);
        reply[0] =
            (uint8_t)check_exactly(data + sizeof trust.keys[0], bytes - (uint32_t)sizeof trust.keys[0], &trust.wanted);
        return 1;
    case 'H': /* u32 kind, first bytes of an upload -> status */
        trust_of(tyf_get_u32_le(data), &trust, 0, NULL);
        reply[0] = (uint8_t)tyf_image_check_header(data + 4, bytes - 4u, tyf_boot_capacity(), &trust.wanted);
        return 1;
    case 'V': { /* u8 major, minor, u16 revision, u32 build -> text */
        tyf_image_version version = {data[0], data[1], tyf_get_u16_le(data + 2), tyf_get_u32_le(data + 4)};
        return tyf_image_version_text(&version, (char *)reply);
    }
    case 'Z':
        return fuzz(data, bytes);
    default:
        abort();
    }
}

int main(void) {
    memset(memory, 0xff, sizeof memory);
    tyf_host_flash_open(memory, sizeof memory);
    uint8_t head[5];
    while (fread(head, 1, sizeof head, stdin) == sizeof head) {
        uint32_t bytes = tyf_get_u32_le(head + 1);
        uint8_t *data = malloc(bytes + 1u);
        if (data == NULL || fread(data, 1, bytes, stdin) != bytes) {
            abort();
        }
        uint8_t reply_head[4];
        uint32_t count = handle(head[0], data, bytes);
        tyf_put_u32_le(reply_head, count);
        fwrite(reply_head, 1, sizeof reply_head, stdout);
        fwrite(reply, 1, count, stdout);
        fflush(stdout);
        free(data);
    }
    return 0;
}
