/* A package on trial: hash, signature, what it asks for, golden vectors, then beside the live model. One step a call.
 */
#include <string.h>

#include "store.h"
#include "tyf/model/seeded.h"
#include "tyf/port/guard.h"

/* Bytes hashed in one step: below 10 ms on a Cortex-M4 of 25 MHz. */
#define HASH_BYTES 2048u

#define ALIGNMENT 16u

typedef struct {
    const tyf_model *model;
    uint8_t *arena;
} inference;

static void infer(void *argument) {
    const inference *work = argument;
    tyf_model_run(work->model, work->arena, NULL, NULL);
}

tyf_status tyf_model_run_guarded(model_slot *slot, uint8_t *arena, uint32_t budget_ms) {
    inference work = {&slot->blob.model, arena};
    const tyf_guard_sandbox sandbox = {.arena = arena,
                                       .arena_bytes = tyf_model_store_state.config.arena_bytes,
                                       .handle = &slot->blob,
                                       .handle_bytes = sizeof slot->blob};
    const tyf_guard_outcome outcome =
        tyf_port_run_guarded(infer, &work, budget_ms != 0 ? budget_ms : TYF_CFG_MODEL_BUDGET_MS, &sandbox);
    slot->report.fault_pc = outcome.pc;
    return outcome.result == TYF_GUARD_OK      ? TYF_OK
           : outcome.result == TYF_GUARD_FAULT ? TYF_ERR_FAULT
                                               : TYF_ERR_OVERRUN;
}

void tyf_model_trial_stop(void) {
    model_store *store = &tyf_model_store_state;
    model_mailbox_set(&store->shadow, MAILBOX_OFF);
    store->trial.slot = MODEL_NONE;
}

static void refuse(tyf_status why) {
    model_slot *slot = &tyf_model_store_state.slots[tyf_model_store_state.trial.slot];
    slot->report.phase = TYF_MODEL_PHASE_REFUSED;
    slot->report.status = why;
    tyf_model_trial_stop();
}

tyf_status tyf_model_store_test(const tyf_model_policy *policy) {
    model_store *store = &tyf_model_store_state;
    const uint32_t number = store->newest_slot;
    if (policy->agree > policy->shadow) {
        return TYF_ERR_ARG;
    }
    if (number == MODEL_NONE || number != tyf_model_free_slot() ||
        store->slots[number].report.phase == TYF_MODEL_PHASE_RECEIVING ||
        store->slots[number].report.phase == TYF_MODEL_PHASE_EMPTY) {
        return TYF_ERR_STATE;
    }
    /* A trial erases nothing, but it says anew what the slot is: nothing durable may rest on what was said before. */
    const tyf_status status = tyf_model_slot_release(number);
    if (status != TYF_OK) {
        return status;
    }
    store->trial = (model_trial){.slot = number, .policy = *policy, .arena = tyf_model_free_arena()};
    const tyf_status read = tyf_model_slot_read(number, &store->trial.check);
    store->slots[number].report.phase = TYF_MODEL_PHASE_CHECKING;
    if (read != TYF_OK) {
        refuse(read);
    }
    return TYF_OK;
}

static void check(model_slot *slot) {
    model_trial *trial = &tyf_model_store_state.trial;
    tyf_status status = tyf_model_slot_step(trial->slot, &trial->check, HASH_BYTES);
    if (status == TYF_OK && !trial->check.is_done) {
        return;
    }
    if (status == TYF_OK) {
        status = tyf_model_slot_open(trial->slot);
    }
    if (status != TYF_OK) {
        refuse(status);
        return;
    }
    slot->report.phase = TYF_MODEL_PHASE_PROVING;
}

static bool is_output(const tyf_model_package *package, const tyf_model_vector *vector, const uint8_t *output) {
    uint8_t digest[TYF_SHA256_BYTES];
    if (!vector->is_hash) {
        return memcmp(output, vector->output, package->output_bytes) == 0;
    }
    tyf_sha256 hash;
    tyf_sha256_init(&hash);
    tyf_sha256_update(&hash, output, package->output_bytes);
    tyf_sha256_final(&hash, digest);
    return memcmp(digest, vector->output, sizeof digest) == 0;
}

/* Whether the candidate can watch: the same input, answers that can be compared, and memory for one of them. */
static tyf_status shadow_begin(model_slot *slot) {
    model_store *store = &tyf_model_store_state;
    const tyf_model *live = store->live->model, *candidate = &slot->blob.model;
    if (candidate->input_bytes != live->input_bytes || candidate->input_dtype != live->input_dtype ||
        candidate->output_bytes != live->output_bytes || candidate->output_dtype != live->output_dtype) {
        return TYF_ERR_TARGET;
    }
    const uint32_t used = (candidate->arena_bytes + ALIGNMENT - 1u) / ALIGNMENT * ALIGNMENT;
    if (used > store->config.arena_bytes || live->output_bytes > store->config.arena_bytes - used) {
        return TYF_ERR_ARENA;
    }
    uint8_t *arena = store->config.arenas[store->trial.arena];
    store->shadow.input = arena + candidate->input_offset;
    store->shadow.output = arena + used;
    store->shadow.input_bytes = live->input_bytes;
    store->shadow.output_bytes = live->output_bytes;
    tyf_model_reset(candidate, arena);
    model_mailbox_set(&store->shadow, MAILBOX_OPEN);
    return TYF_OK;
}

static void prove(model_slot *slot) {
    model_trial *trial = &tyf_model_store_state.trial;
    const tyf_model *model = &slot->blob.model;
    uint8_t *arena = tyf_model_store_state.config.arenas[trial->arena];
    const tyf_model_vector vector = tyf_model_package_vector(&slot->package, slot->report.proved);
    tyf_model_reset(model, arena);
    if (vector.stored != NULL) {
        memcpy(arena + model->input_offset, vector.stored, model->input_bytes);
    } else {
        tyf_seeded_input(vector.seed, vector.case_index, model->input_dtype, arena + model->input_offset,
                         model->input_bytes);
    }
    const tyf_status status = tyf_model_run_guarded(slot, arena, trial->policy.budget_ms);
    if (status != TYF_OK) {
        refuse(status);
        return;
    }
    if (!is_output(&slot->package, &vector, arena + model->output_offset)) {
        refuse(TYF_ERR_GOLDEN);
        return;
    }
    if (++slot->report.proved != slot->package.vector_count) {
        return;
    }
    if (trial->policy.shadow == 0) {
        slot->report.phase = TYF_MODEL_PHASE_READY;
        return;
    }
    const tyf_status shadow = shadow_begin(slot);
    if (shadow == TYF_OK) {
        slot->report.phase = TYF_MODEL_PHASE_SHADOWING;
    } else if (trial->policy.skips_shadow) {
        slot->report.phase = TYF_MODEL_PHASE_READY;
    } else {
        refuse(shadow);
    }
}

static bool watch(model_slot *slot) {
    model_store *store = &tyf_model_store_state;
    const tyf_model_policy *policy = &store->trial.policy;
    if (!model_mailbox_is(&store->shadow, MAILBOX_FULL)) {
        return false;
    }
    const tyf_model *model = &slot->blob.model;
    uint8_t *arena = store->config.arenas[store->trial.arena];
    const tyf_status status = tyf_model_run_guarded(slot, arena, policy->budget_ms);
    if (status != TYF_OK) {
        refuse(status);
        return true;
    }
    slot->report.shadowed++;
    slot->report.agreed +=
        tyf_model_outputs_agree(model, arena + model->output_offset, store->shadow.output, policy->difference) ? 1u
                                                                                                               : 0u;
    /* Too many disagreed already: the rest cannot change it. */
    if (slot->report.shadowed - slot->report.agreed > policy->shadow - policy->agree) {
        refuse(TYF_ERR_DISAGREES);
    } else if (slot->report.shadowed == policy->shadow) {
        model_mailbox_set(&store->shadow, MAILBOX_OFF);
        slot->report.phase = TYF_MODEL_PHASE_READY;
    } else {
        model_mailbox_set(&store->shadow, MAILBOX_OPEN);
    }
    return true;
}

bool tyf_model_store_poll(void) {
    model_store *store = &tyf_model_store_state;
    if (store->health.verdict != TYF_OK) {
        (void)tyf_model_give_back(store->health.verdict);
        return true;
    }
    if (store->trial.slot == MODEL_NONE) {
        return false;
    }
    model_slot *slot = &store->slots[store->trial.slot];
    switch (slot->report.phase) {
    case TYF_MODEL_PHASE_CHECKING:
        check(slot);
        return true;
    case TYF_MODEL_PHASE_PROVING:
        prove(slot);
        return true;
    case TYF_MODEL_PHASE_SHADOWING:
        return watch(slot);
    default:
        if (slot->report.phase == TYF_MODEL_PHASE_READY && store->trial.policy.confirms) {
            store->trial.policy.confirms = false; /* once; should the flash refuse, a host may try again */
            (void)tyf_model_store_confirm(NULL);
            return true;
        }
        return false;
    }
}
