/* What the parts of lib/model_store share. */
#ifndef TYF_MODEL_STORE_PRIVATE_H
#define TYF_MODEL_STORE_PRIVATE_H

#include <stdatomic.h>

#include "tyf/boot/slots.h"
#include "tyf/core/sha256.h"
#include "tyf/flash_map/flash_map.h"
#include "tyf/model/blob.h"
#include "tyf/model_store/package.h"
#include "tyf/model_store/store.h"

#define MODEL_NONE UINT32_MAX /* no slot */

/* Boards without flash of their own have units of 0 bytes; there nothing of this is linked. */
#define UNIT_BYTES (TYF_FLASH_UNIT_BYTES > 0 ? TYF_FLASH_UNIT_BYTES : 1u)

typedef struct {
    tyf_model_slot_report report; /* its model points to blob */
    tyf_model_package package;    /* once it has been read */
    tyf_blob blob;
    tyf_live_model live; /* its entry while it is live */
} model_slot;

/* A transfer into a slot. */
typedef struct {
    uint32_t slot; /* MODEL_NONE: none */
    uint32_t total;
    uint8_t sha256[TYF_SHA256_BYTES];         /* of the transfer: its name */
    uint8_t package_sha256[TYF_SHA256_BYTES]; /* of what it makes */
    uint32_t package_bytes;
    uint32_t written; /* bytes of the package that are programmed, or wait in tail */
    uint32_t erased;  /* bytes of the slot that are erased */
    tyf_sha256 hash;  /* of the package so far */
    uint8_t tail[UNIT_BYTES];
    bool is_delta;
    uint8_t head[8]; /* of an instruction that came in two pieces */
    uint32_t head_bytes;
    uint32_t literal;       /* bytes that follow as they are */
    uint32_t copy, copy_at; /* bytes to take from the base, and from where */
} model_transfer;

/* A package on trial. */
typedef struct {
    uint32_t slot; /* MODEL_NONE: none */
    tyf_model_policy policy;
    tyf_image_check_steps check;
    uint32_t arena; /* the one that the live model has not */
} model_trial;

/* Between live inference and management: live inference writes while it says OPEN or ASKED, management else. */
typedef enum { MAILBOX_OFF, MAILBOX_OPEN, MAILBOX_ASKED, MAILBOX_FULL } mailbox_state;

typedef struct {
    volatile mailbox_state mailbox;
    uint8_t *input;  /* in the candidate's arena */
    uint8_t *output; /* of the live model, behind the candidate's memory */
    uint32_t input_bytes, output_bytes;
} model_shadow;

/* Hands what the mailbox is about to the other side, which may run from here on. Volatile alone orders no other memory.
 */
static inline void model_mailbox_set(model_shadow *shadow, mailbox_state state) {
    atomic_signal_fence(memory_order_seq_cst);
    shadow->mailbox = state;
    atomic_signal_fence(memory_order_seq_cst);
}

/* Whether it is ours to read and write. */
static inline bool model_mailbox_is(const model_shadow *shadow, mailbox_state state) {
    const bool is_it = shadow->mailbox == state;
    atomic_signal_fence(memory_order_seq_cst);
    return is_it;
}

/* The live model's conduct since it became live; live inference writes, management reads the verdict. */
typedef struct {
    uint32_t late, stuck;
    uint32_t last_crc;
    volatile tyf_status verdict;
} model_health;

/* What outlives a reset: the value of the setting "models". */
typedef struct {
    uint8_t place[2];      /* live, previous: a tyf_model_place */
    uint8_t generation[2]; /* of both */
    uint8_t newest;        /* the last generation that was given */
    uint8_t digest[2][TYF_SHA256_BYTES];
} model_choice;

typedef struct {
    tyf_model_store_config config;
    model_slot slots[TYF_MODEL_SLOTS];
    tyf_live_model built_in[2]; /* one for each arena */
    const tyf_live_model *volatile live;
    model_choice choice;
    tyf_boot_trust trust;
    model_transfer transfer;
    model_trial trial;
    model_shadow shadow;
    model_health health;
    tyf_model_policy live_policy;
    uint32_t newest_slot; /* that a package came into last */
    uint32_t reverts;
} model_store;

extern model_store tyf_model_store_state;

/* Where slot number `slot` lies. */
static inline tyf_area model_area(uint32_t slot) {
    return slot == 0 ? TYF_AREA_MODEL_0 : TYF_AREA_MODEL_1;
}

static inline tyf_model_place model_place(uint32_t slot) {
    return slot == 0 ? TYF_MODEL_SLOT_0 : TYF_MODEL_SLOT_1;
}

/* The slot that is not live; packages go there. */
uint32_t tyf_model_free_slot(void);

/* Which arena the live model has not. */
uint32_t tyf_model_free_arena(void);

/* Make what is chosen durable. */
tyf_status tyf_model_choice_write(const model_choice *choice);

/* Read what was made durable; the built-in model when there is nothing that is valid. */
model_choice tyf_model_choice_read(void);

/* Let nothing point at what is in the slot any more, so that it may be erased. */
tyf_status tyf_model_slot_release(uint32_t slot);

/* Nothing goes on where a transfer was: the slot is about to change. */
tyf_status tyf_model_receive_forget(void);

/* Stop trying what is being tried. */
void tyf_model_trial_stop(void);

/* Give the place of the live model back, for a reason. */
tyf_status tyf_model_give_back(tyf_status why);

/*
 * Everything that can be said of a package without running it, in this order: whether it is well-formed and for this
 * board; step by step, whether it is signed (then check->is_done); whether this program can run it.
 */
tyf_status tyf_model_slot_read(uint32_t slot, tyf_image_check_steps *check);
tyf_status tyf_model_slot_step(uint32_t slot, tyf_image_check_steps *check, uint32_t bytes);
tyf_status tyf_model_slot_open(uint32_t slot);

/* One inference under guard, on the input that lies in the arena. */
tyf_status tyf_model_run_guarded(model_slot *slot, uint8_t *arena, uint32_t budget_ms);

/* Whether two outputs of the same size mean the same. */
bool tyf_model_outputs_agree(const tyf_model *model, const uint8_t *a, const uint8_t *b, uint32_t difference);

#endif
