#include "fuzz_store.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "tyf/core/bytes.h"
#include "tyf/core/sha256.h"
#include "tyf/flash_map/flash_map.h"
#include "tyf/model_store/package.h"
#include "tyf/model_store/store.h"

#define CORPUS 16u
#define CAPACITY 16384u
#define PIECE_BYTES 900u
#define CALLS 4096u /* more than any transfer or trial here takes */

typedef struct {
    const uint8_t *data;
    uint32_t bytes;
} span;

static uint32_t round_now;

static void require(bool holds, const char *what) {
    if (!holds) {
        fprintf(stderr, "round %u: %s\n", (unsigned)round_now, what);
        abort();
    }
}

/* Send it; whether the store has all of it. */
static bool send(const uint8_t *data, uint32_t bytes, bool is_orderly) {
    uint8_t sha256[TYF_SHA256_BYTES];
    tyf_sha256 hash;
    tyf_sha256_init(&hash);
    tyf_sha256_update(&hash, data, bytes);
    tyf_sha256_final(&hash, sha256);
    uint32_t at = 0;
    for (uint32_t call = 0; call < CALLS; call++) {
        if (!is_orderly && call > 0 && fuzz_random_below(16) == 0) {
            at = fuzz_random_below(bytes + 2u);
        }
        const uint32_t left = at < bytes ? bytes - at : 0;
        const uint32_t most = left < PIECE_BYTES ? left : PIECE_BYTES;
        /* A copy of exactly its size, so that the sanitizer watches its end. */
        const uint32_t count = is_orderly || fuzz_random_below(4) != 0 ? most : fuzz_random_below(most + 1u);
        uint8_t *piece = malloc(count + 1u);
        if (piece == NULL) {
            abort();
        }
        memcpy(piece + 1, data + (at < bytes ? at : 0), count);
        uint32_t next = UINT32_MAX;
        const tyf_status status = tyf_model_store_receive(
            &(tyf_model_piece){.offset = at, .data = piece + 1, .bytes = count, .total = bytes, .sha256 = sha256},
            &next);
        free(piece);
        require(next <= bytes, "wants what lies behind the end");
        if (next == bytes) {
            return status == TYF_OK;
        }
        if (status != TYF_OK && status != TYF_ERR_ARG) {
            return false;
        }
        at = next;
    }
    return false; /* it stopped growing */
}

/* Try what was stored; whether it was proved. */
static bool try_it(void) {
    if (tyf_model_store_test(&(tyf_model_policy){.budget_ms = 50}) != TYF_OK) {
        return false;
    }
    for (uint32_t call = 0; tyf_model_store_poll(); call++) {
        require(call < CALLS, "a trial does not end");
    }
    return tyf_model_store_slot(1).phase == TYF_MODEL_PHASE_READY;
}

uint32_t fuzz_store(const uint8_t *data, uint32_t bytes, uint8_t *reply) {
    static uint8_t buffer[CAPACITY];
    span corpus[CORPUS];
    uint32_t count = 0;
    for (uint32_t at = 8; at < bytes && count < CORPUS; count++) {
        corpus[count] = (span){data + at + 2, tyf_get_u16_le(data + at)};
        at += 2u + corpus[count].bytes;
    }
    const span base = corpus[0];
    const uint8_t *const live = tyf_area_data(TYF_AREA_MODEL_0), *const tried = tyf_area_data(TYF_AREA_MODEL_1);
    round_now = 0;
    if (tyf_model_store_live()->place != TYF_MODEL_SLOT_0) {
        require(send(base.data, base.bytes, true), "the first package is not taken");
        require(tyf_model_store_test(&(tyf_model_policy){.budget_ms = 50}) == TYF_OK, "it is not tried");
        while (tyf_model_store_poll()) {
        }
        require(tyf_model_store_confirm(NULL) == TYF_OK, "it is not proved");
    }
    fuzz_seed(tyf_get_u32_le(data));
    const uint32_t rounds = tyf_get_u32_le(data + 4);
    uint32_t stored = 0;
    for (; round_now < rounds; round_now++) {
        const span from = corpus[1u + fuzz_random_below(count - 1u)];
        memcpy(buffer, from.data, from.bytes);
        uint32_t left = from.bytes;
        for (uint32_t i = fuzz_random_below(4); i > 0; i--) {
            left = fuzz_mutate(buffer, left, CAPACITY);
        }
        const bool is_stored = send(buffer, left, fuzz_random_below(4) != 0);
        const bool is_proved = try_it();
        stored += is_stored;
        tyf_model_package package;
        bool is_known = false;
        if (is_proved) {
            require(tyf_model_package_read(&package, tried, tyf_area_bytes(TYF_AREA_MODEL_1)) == TYF_OK, "unreadable");
            for (uint32_t i = 0; i < count; i++) {
                is_known |=
                    corpus[i].bytes >= package.signed_bytes && memcmp(tried, corpus[i].data, package.signed_bytes) == 0;
            }
        } else {
            require(tyf_model_store_confirm(NULL) == TYF_ERR_STATE, "confirmed without a proof");
        }
        require(is_proved == is_known, "proved what nobody signed");
        require(memcmp(live, base.data, base.bytes) == 0, "the live package was changed");
        require(tyf_model_store_live()->place == TYF_MODEL_SLOT_0, "another model is live");
    }
    tyf_put_u32_le(reply, rounds);
    tyf_put_u32_le(reply + 4, stored);
    return 8;
}
