/**
 * Models as objects: packages arrive in slots, are proved on this very device, watch the live model for a while, take
 * its place without a reset, and give it back when they turn out bad. docs/spec/models.md draws the states.
 *
 *     static TYF_GUARD_ARENA(arena_0, TYF_MODEL_STORE_ARENA_BYTES(TYF_APP_ARENA_BYTES));
 *     static TYF_GUARD_ARENA(arena_1, TYF_MODEL_STORE_ARENA_BYTES(TYF_APP_ARENA_BYTES));
 *
 *     static void answers_now(const tyf_live_model *live) { ... }
 *
 *     static const tyf_model_store_config config = {.built_in = &TYF_APP_MODEL,
 *                                                   .arenas = {arena_0, arena_1},
 *                                                   .arena_bytes = sizeof arena_0,
 *                                                   .kernels = &tyf_kernels,
 *                                                   .became_live = answers_now};
 *     tyf_model_store_start(&config);
 *     for (;;) {
 *         tyf_model_store_poll();                                   // thread mode: a step of what is being tried
 *     }
 *
 *     const tyf_live_model *live = tyf_model_store_live();          // live inference: read once an answer
 *     tyf_model_store_offer(live);                                  // before the model runs over its input
 *     tyf_model_run(live->model, live->arena, NULL, NULL);
 *     tyf_model_store_answered(live, latency_us);
 *
 * One instance a program. Slots and settings (lib/flash_map, lib/settings) must have been started.
 */
#ifndef TYF_MODEL_STORE_STORE_H
#define TYF_MODEL_STORE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "tyf/core/config.h"
#include "tyf/core/sha256.h"
#include "tyf/core/wire.h"
#include "tyf/model/kernel_table.h"
#include "tyf/model/model.h"

/** Size of each of the two arenas of a store whose built-in model needs `bytes`. */
#define TYF_MODEL_STORE_ARENA_BYTES(bytes) ((bytes) > TYF_CFG_MODEL_ARENA_BYTES ? (bytes) : TYF_CFG_MODEL_ARENA_BYTES)

/** Slots for packages; the built-in model is a third place. */
#define TYF_MODEL_SLOTS 2u

/** A model that answers. */
typedef struct {
    const tyf_model *model;
    uint8_t *arena;
    uint8_t generation; /**< stands for the model in telemetry: 1 the built-in one, 2 .. 255 packages */
    tyf_model_place place;
} tyf_live_model;

/** What a store works with; all must outlive it. */
typedef struct {
    const tyf_model *built_in;
    uint8_t *arenas[2];   /**< as TYF_GUARD_ARENA makes them: one for the live model, one for what is tried */
    uint32_t arena_bytes; /**< of each, at least built_in->arena_bytes */
    const tyf_kernel_table *kernels;
    /** From this call on `live` answers; NULL: the program asks tyf_model_store_live() for each answer. Live inference
     * does not run meanwhile, and nothing of the store may be called. */
    void (*became_live)(const tyf_live_model *live);
} tyf_model_store_config;

/** How a package has to prove itself. All zeros: golden vectors alone, then wait for a host to confirm. */
typedef struct {
    uint32_t shadow;      /**< live inferences to watch; 0: none */
    uint32_t agree;       /**< of those, how many must agree, 0 .. shadow */
    uint32_t difference;  /**< outputs agree with the same largest element, or where no int8 differs by more; 0: same */
    uint32_t budget_ms;   /**< for one inference of the candidate; 0: TYF_CFG_MODEL_BUDGET_MS */
    uint32_t deadline_us; /**< once live, an answer that takes longer is one of `late`; 0: no deadline */
    uint32_t late;        /**< so many late answers give the place back; 0 counts as 1 */
    uint32_t stuck;       /**< so many equal answers one after the other give the place back; 0: never */
    bool skips_shadow;    /**< where watching is not possible, do without it; else the package is refused */
    bool confirms;        /**< take the place as soon as all is proved, without a host */
} tyf_model_policy;

/** What is in a slot, for hosts. */
typedef struct {
    tyf_model_phase phase;
    tyf_status status;                /**< why it was refused, or gave its place back; else TYF_OK */
    uint8_t digest[TYF_SHA256_BYTES]; /**< names the package; zeros before its signature was checked */
    const tyf_model *model;           /**< once it has been opened, else NULL */
    uint8_t generation;               /**< once it has been live, else 0 */
    uint32_t received;                /**< bytes of the transfer that are there */
    uint32_t checked;                 /**< bytes whose hash is done */
    uint32_t proved;                  /**< golden vectors that came out right */
    uint32_t shadowed, agreed;        /**< live inferences that were watched, and how many agreed */
    uint32_t fault_pc;                /**< where it faulted or was when its budget ended */
} tyf_model_slot_report;

/** A piece of a package on its way into a slot. */
typedef struct {
    uint32_t offset;
    const uint8_t *data;
    uint32_t bytes;
    uint32_t total;        /**< of the transfer; with offset 0 */
    const uint8_t *sha256; /**< [32] of the transfer; with offset 0 */
} tyf_model_piece;

/**
 * Find the model that was live, check its package again, and make it live; the one before it, or the built-in one, when
 * it is damaged or crashed the board.
 *
 * @return TYF_OK, or why the model that should be live is not
 */
tyf_status tyf_model_store_start(const tyf_model_store_config *config);

/** The live model. Any context; valid for the rest of the answer that read it. */
const tyf_live_model *tyf_model_store_live(void);

/** Let what is being tried see the input that the live model is about to run over. Live inference only. */
void tyf_model_store_offer(const tyf_live_model *live);

/** The live model has answered; its output lies in its arena. Live inference only. */
void tyf_model_store_answered(const tyf_live_model *live, uint32_t latency_us);

/**
 * Do one step of what is being tried: some kilobytes of hash, the signature, one golden vector, one inference beside
 * the live one, or a change of the live model. Thread mode only.
 *
 * @return whether there was something to do
 */
bool tyf_model_store_poll(void);

/**
 * Take a piece of a package, or of a delta, which names itself. What is already there is not written again; nothing is
 * erased before the first piece was found good, and never a slot that is live.
 *
 * @param[out] next  offset that is wanted next, whatever was given: 0 where no transfer has begun; a delta that has to
 * copy first takes nothing new
 *
 * @return TYF_OK; TYF_ERR_ARG: longer than announced; TYF_ERR_TOO_LARGE: larger than the slot; TYF_ERR_BASE: a delta of
 * a package that is not here; TYF_ERR_FORMAT: not the bytes of sha256, or a malformed delta; TYF_ERR_FLASH
 */
tyf_status tyf_model_store_receive(const tyf_model_piece *piece, uint32_t *next);

/**
 * Begin to prove what was received last; tyf_model_store_poll() does it, tyf_model_store_slot() shows how far it is.
 *
 * @return TYF_OK, TYF_ERR_STATE: nothing was received; TYF_ERR_ARG: policy->agree > policy->shadow
 */
tyf_status tyf_model_store_test(const tyf_model_policy *policy);

/**
 * Make the package live that was proved.
 *
 * @param digest  [32] its digest; NULL: whichever it is
 *
 * @return TYF_OK, also when it is live already; TYF_ERR_STATE: none is proved; TYF_ERR_ARG: another one is;
 * TYF_ERR_FLASH
 */
tyf_status tyf_model_store_confirm(const uint8_t *digest);

/** Make the model live that was before. @return TYF_OK; TYF_ERR_STATE: the built-in one is live; TYF_ERR_FLASH */
tyf_status tyf_model_store_revert(void);

/** Forget what is in the slot that is not live. @return TYF_OK, TYF_ERR_FLASH */
tyf_status tyf_model_store_erase(void);

/** What is in a slot. @param slot  0 .. TYF_MODEL_SLOTS - 1 */
tyf_model_slot_report tyf_model_store_slot(uint32_t slot);

/** Where the model lies that would be live again after a revert. */
tyf_model_place tyf_model_store_previous(void);

/** How many times the live model changed by itself since the start: for a fault, a deadline or its health. */
uint32_t tyf_model_store_reverts(void);

#endif
