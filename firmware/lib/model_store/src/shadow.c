/* Beside the live model: its inputs to what is being tried, its answers for comparison, its conduct. */
#include <stdlib.h>
#include <string.h>

#include "store.h"
#include "tyf/core/crc.h"

const tyf_live_model *tyf_model_store_live(void) {
    return tyf_model_store_state.live;
}

void tyf_model_store_offer(const tyf_live_model *live) {
    model_shadow *shadow = &tyf_model_store_state.shadow;
    if (model_mailbox_is(shadow, MAILBOX_OPEN)) {
        memcpy(shadow->input, live->arena + live->model->input_offset, shadow->input_bytes);
        model_mailbox_set(shadow, MAILBOX_ASKED);
    }
}

static void judge(const tyf_live_model *live, uint32_t latency_us) {
    const tyf_model_policy *policy = &tyf_model_store_state.live_policy;
    model_health *health = &tyf_model_store_state.health;
    if (policy->deadline_us != 0 && latency_us > policy->deadline_us) {
        health->late++;
        if (health->late >= policy->late) {
            health->verdict = TYF_ERR_OVERRUN;
        }
    }
    if (policy->stuck != 0) {
        const uint32_t crc = tyf_crc32(0, live->arena + live->model->output_offset, live->model->output_bytes);
        health->stuck = health->stuck != 0 && crc == health->last_crc ? health->stuck + 1u : 1u;
        health->last_crc = crc;
        if (health->stuck >= policy->stuck) {
            health->verdict = TYF_ERR_UNHEALTHY;
        }
    }
}

void tyf_model_store_answered(const tyf_live_model *live, uint32_t latency_us) {
    model_shadow *shadow = &tyf_model_store_state.shadow;
    if (model_mailbox_is(shadow, MAILBOX_ASKED)) {
        memcpy(shadow->output, live->arena + live->model->output_offset, shadow->output_bytes);
        model_mailbox_set(shadow, MAILBOX_FULL);
    }
    if (live->place != TYF_MODEL_BUILT_IN) {
        judge(live, latency_us);
    }
}

static uint32_t largest(const uint8_t *output, uint32_t bytes, uint8_t flip) {
    uint32_t best = 0;
    for (uint32_t i = 1; i < bytes; i++) {
        if ((output[i] ^ flip) > (output[best] ^ flip)) {
            best = i;
        }
    }
    return best;
}

bool tyf_model_outputs_agree(const tyf_model *model, const uint8_t *a, const uint8_t *b, uint32_t difference) {
    const bool is_signed = model->output_dtype == TYF_DTYPE_INT8;
    if (!is_signed && model->output_dtype != TYF_DTYPE_UINT8) {
        return memcmp(a, b, model->output_bytes) == 0;
    }
    const uint8_t flip = is_signed ? 0x80u : 0u; /* orders int8 like uint8 */
    if (difference == 0) {
        return largest(a, model->output_bytes, flip) == largest(b, model->output_bytes, flip);
    }
    for (uint32_t i = 0; i < model->output_bytes; i++) {
        if ((uint32_t)abs((int)(a[i] ^ flip) - (int)(b[i] ^ flip)) > difference) {
            return false;
        }
    }
    return true;
}
