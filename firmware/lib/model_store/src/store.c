/* Who is live: start, confirm, revert. */
#include "tyf/model_store/store.h"

#include <stddef.h>
#include <string.h>

#include "store.h"
#include "tyf/core/bytes.h"
#include "tyf/port/crash.h"
#include "tyf/port/system.h"

#define BUILT_IN_GENERATION 1u

model_store tyf_model_store_state;

uint32_t tyf_model_free_slot(void) {
    return tyf_model_store_state.live->place == TYF_MODEL_SLOT_0 ? 1u : 0u;
}

uint32_t tyf_model_free_arena(void) {
    const model_store *store = &tyf_model_store_state;
    return store->live->arena == store->config.arenas[0] ? 1u : 0u;
}

/* From one answer to the next. The crash record must name the model that answers, and it is judged by its own rules. */
static void make_live(const tyf_live_model *live, const tyf_model_policy *policy) {
    model_store *store = &tyf_model_store_state;
    const uint32_t held = tyf_port_hold_interrupts();
    store->live = live;
    store->live_policy = *policy;
    store->health = (model_health){0};
    if (store->config.became_live != NULL) {
        store->config.became_live(live);
    }
    tyf_port_crash_names_model(live->model->model_id, live->generation);
    tyf_port_resume_interrupts(held);
}

/* The built-in model in an arena that is free. */
static const tyf_live_model *built_in(uint32_t arena) {
    model_store *store = &tyf_model_store_state;
    tyf_live_model *live = &store->built_in[arena];
    *live = (tyf_live_model){.model = store->config.built_in,
                             .arena = store->config.arenas[arena],
                             .generation = BUILT_IN_GENERATION,
                             .place = TYF_MODEL_BUILT_IN};
    tyf_model_reset(live->model, live->arena);
    return live;
}

/* The model of a slot that was opened, in an arena that is free. */
static const tyf_live_model *from_slot(uint32_t number, uint32_t arena, uint8_t generation) {
    model_slot *slot = &tyf_model_store_state.slots[number];
    slot->live = (tyf_live_model){.model = &slot->blob.model,
                                  .arena = tyf_model_store_state.config.arenas[arena],
                                  .generation = generation,
                                  .place = model_place(number)};
    slot->report.generation = generation;
    tyf_model_reset(slot->live.model, slot->live.arena);
    return &slot->live;
}

/* All of a slot that can be checked without running it, at once. */
static tyf_status check_whole(uint32_t number, const uint8_t *digest) {
    tyf_image_check_steps check;
    tyf_status status = tyf_model_slot_read(number, &check);
    while (status == TYF_OK && !check.is_done) {
        status = tyf_model_slot_step(number, &check, TYF_FLASH_PAGE_BYTES);
    }
    if (status == TYF_OK && memcmp(check.image.digest, digest, TYF_SHA256_BYTES) != 0) {
        status = TYF_ERR_FORMAT; /* a good package, but another one than was confirmed */
    }
    return status == TYF_OK ? tyf_model_slot_open(number) : status;
}

/* Whether the board crashed because of the model that is chosen. */
static bool crashed(const model_choice *choice) {
    const uint8_t *record = tyf_port_crash_record();
    return record != NULL && tyf_get_u32_le(record + TYF_CRASH_MODEL_GENERATION_OFFSET) == choice->generation[0] &&
           (tyf_get_u32_le(record + TYF_CRASH_CONTEXT_OFFSET) == TYF_CRASH_CONTEXT_LIVE ||
            tyf_get_u32_le(record + TYF_CRASH_CONTEXT_OFFSET) == TYF_CRASH_CONTEXT_UNKNOWN || /* its stack ran over */
            tyf_get_u32_le(record + TYF_CRASH_WHY_OFFSET) == TYF_CRASH_WHY_WATCHDOG);
}

/* What follows when the chosen model may not answer: the one before it, behind which is the built-in one. */
static model_choice without_live(const model_choice *choice) {
    model_choice next = *choice;
    next.place[0] = choice->place[1];
    next.generation[0] = choice->generation[1];
    memcpy(next.digest[0], choice->digest[1], TYF_SHA256_BYTES);
    next.place[1] = TYF_MODEL_BUILT_IN;
    next.generation[1] = BUILT_IN_GENERATION;
    memset(next.digest[1], 0, TYF_SHA256_BYTES);
    return next;
}

static uint32_t slot_of(uint8_t place) {
    return place == TYF_MODEL_SLOT_1 ? 1u : 0u;
}

/*
 * Make live what is chosen, or what is chosen behind it when that is damaged. Durable first: a power cut between the
 * two starts with the new one, never with one that is not chosen.
 */
static tyf_status settle(model_choice choice, uint32_t arena) {
    model_store *store = &tyf_model_store_state;
    const tyf_live_model *live = NULL;
    tyf_status first = TYF_OK;
    while (live == NULL) {
        const uint32_t number = slot_of(choice.place[0]);
        if (choice.place[0] == TYF_MODEL_BUILT_IN) {
            live = built_in(arena);
            break;
        }
        tyf_model_slot_report *report = &store->slots[number].report;
        const tyf_status status = check_whole(number, choice.digest[0]);
        if (status == TYF_OK) {
            live = from_slot(number, arena, choice.generation[0]);
            report->phase = TYF_MODEL_PHASE_LIVE;
            break;
        }
        report->phase = TYF_MODEL_PHASE_REFUSED;
        report->status = status;
        first = first == TYF_OK ? status : first;
        choice = without_live(&choice);
    }
    if (memcmp(&choice, &store->choice, sizeof choice) != 0) {
        const tyf_status status = tyf_model_choice_write(&choice);
        first = first == TYF_OK ? status : first;
        store->choice = choice;
    }
    make_live(live, &(tyf_model_policy){0}); /* the rules of when it was confirmed last are not kept */
    return first;
}

/* What the slots hold that are not live: a package that was there before the reset may still be tried. */
static void look_at_slots(void) {
    model_store *store = &tyf_model_store_state;
    for (uint32_t i = 0; i < TYF_MODEL_SLOTS; i++) {
        tyf_model_slot_report *report = &store->slots[i].report;
        const uint8_t *data = tyf_area_data(model_area(i));
        if (report->phase != TYF_MODEL_PHASE_EMPTY || data == NULL ||
            tyf_model_package_read(&store->slots[i].package, data, tyf_area_bytes(model_area(i))) != TYF_OK) {
            continue;
        }
        report->phase =
            store->choice.place[1] == (uint8_t)model_place(i) ? TYF_MODEL_PHASE_PREVIOUS : TYF_MODEL_PHASE_STORED;
        report->received = store->slots[i].package.package_bytes;
        if (report->phase == TYF_MODEL_PHASE_PREVIOUS) {
            memcpy(report->digest, store->choice.digest[1], TYF_SHA256_BYTES);
            report->generation = store->choice.generation[1];
        } else {
            store->newest_slot = i;
        }
    }
}

tyf_status tyf_model_store_start(const tyf_model_store_config *config) {
    model_store *store = &tyf_model_store_state;
    memset(store, 0, sizeof *store);
    store->config = *config;
    store->transfer.slot = store->trial.slot = store->newest_slot = MODEL_NONE;
    tyf_boot_trust_model(&store->trust);
    store->choice = tyf_model_choice_read();
    model_choice choice = store->choice;
    tyf_status why = TYF_OK;
    if (choice.place[0] != TYF_MODEL_BUILT_IN && crashed(&choice)) {
        tyf_model_slot_report *report = &store->slots[slot_of(choice.place[0])].report;
        report->phase = TYF_MODEL_PHASE_REFUSED;
        report->status = why = TYF_ERR_FAULT;
        store->reverts++;
        choice = without_live(&choice);
    }
    const tyf_status status = settle(choice, 0);
    look_at_slots();
    return why != TYF_OK ? why : status;
}

/* A generation that neither the live model nor the one before it has. */
static uint8_t next_generation(const model_choice *choice) {
    uint8_t next = choice->newest;
    do {
        next = next == UINT8_MAX ? BUILT_IN_GENERATION + 1u : (uint8_t)(next + 1u);
    } while (next == choice->generation[0] || next == choice->generation[1]);
    return next;
}

tyf_status tyf_model_store_confirm(const uint8_t *digest) {
    model_store *store = &tyf_model_store_state;
    const uint32_t number = store->trial.slot;
    if (digest != NULL && store->live->place != TYF_MODEL_BUILT_IN &&
        memcmp(digest, store->choice.digest[0], TYF_SHA256_BYTES) == 0) {
        return TYF_OK;
    }
    if (number == MODEL_NONE || store->slots[number].report.phase != TYF_MODEL_PHASE_READY) {
        return TYF_ERR_STATE;
    }
    model_slot *slot = &store->slots[number];
    if (digest != NULL && memcmp(digest, slot->report.digest, TYF_SHA256_BYTES) != 0) {
        return TYF_ERR_ARG;
    }
    model_choice choice = store->choice;
    choice.place[1] = choice.place[0];
    choice.generation[1] = choice.generation[0];
    memcpy(choice.digest[1], choice.digest[0], TYF_SHA256_BYTES);
    choice.newest = choice.generation[0] = next_generation(&store->choice);
    choice.place[0] = (uint8_t)model_place(number);
    memcpy(choice.digest[0], slot->report.digest, TYF_SHA256_BYTES);
    const tyf_status status = tyf_model_choice_write(&choice);
    if (status != TYF_OK) {
        return status;
    }
    store->choice = choice;
    const tyf_model_policy policy = store->trial.policy;
    const uint32_t arena = store->trial.arena;
    tyf_model_trial_stop();
    if (store->live->place != TYF_MODEL_BUILT_IN) {
        store->slots[1u - number].report.phase = TYF_MODEL_PHASE_PREVIOUS;
    }
    slot->report.phase = TYF_MODEL_PHASE_LIVE;
    make_live(from_slot(number, arena, choice.generation[0]), &policy);
    return TYF_OK;
}

tyf_status tyf_model_give_back(tyf_status why) {
    model_store *store = &tyf_model_store_state;
    store->health.verdict = TYF_OK;
    if (store->live->place == TYF_MODEL_BUILT_IN) {
        return TYF_ERR_STATE;
    }
    const model_choice choice = without_live(&store->choice);
    const tyf_status status = tyf_model_choice_write(&choice);
    if (status != TYF_OK && why == TYF_OK) {
        return status; /* a bad model goes in any case, a good one only when that is durable */
    }
    if (store->trial.slot != MODEL_NONE) { /* its arena is needed */
        store->slots[store->trial.slot].report.phase = TYF_MODEL_PHASE_STORED;
        tyf_model_trial_stop();
    }
    const uint32_t number = slot_of((uint8_t)store->live->place);
    store->choice = choice;
    (void)settle(choice, tyf_model_free_arena());
    store->slots[number].report.phase = why == TYF_OK ? TYF_MODEL_PHASE_STORED : TYF_MODEL_PHASE_REFUSED;
    store->slots[number].report.status = why;
    store->newest_slot = why == TYF_OK ? number : store->newest_slot;
    store->reverts += why == TYF_OK ? 0u : 1u;
    return status;
}

tyf_status tyf_model_store_revert(void) {
    return tyf_model_give_back(TYF_OK);
}

tyf_status tyf_model_slot_release(uint32_t number) {
    model_store *store = &tyf_model_store_state;
    if (store->trial.slot == number) {
        tyf_model_trial_stop();
    }
    if (store->choice.place[1] != (uint8_t)model_place(number)) {
        return TYF_OK;
    }
    model_choice choice = store->choice;
    choice.place[1] = TYF_MODEL_BUILT_IN;
    choice.generation[1] = BUILT_IN_GENERATION;
    memset(choice.digest[1], 0, TYF_SHA256_BYTES);
    const tyf_status status = tyf_model_choice_write(&choice);
    if (status == TYF_OK) {
        store->choice = choice;
    }
    return status;
}

tyf_status tyf_model_store_erase(void) {
    model_store *store = &tyf_model_store_state;
    const uint32_t number = tyf_model_free_slot();
    tyf_status status = tyf_model_slot_release(number);
    if (status == TYF_OK) {
        status = tyf_model_receive_forget();
    }
    if (status == TYF_OK) {
        status = tyf_area_erase(model_area(number), 0); /* without its header it is no package */
    }
    store->slots[number].report = (tyf_model_slot_report){.phase = TYF_MODEL_PHASE_EMPTY};
    return status;
}

tyf_model_slot_report tyf_model_store_slot(uint32_t slot) {
    return tyf_model_store_state.slots[slot].report;
}

tyf_model_place tyf_model_store_previous(void) {
    return (tyf_model_place)tyf_model_store_state.choice.place[1];
}

uint32_t tyf_model_store_reverts(void) {
    return tyf_model_store_state.reverts;
}
