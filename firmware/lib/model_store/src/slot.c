/* What lies in a slot: is it signed, is it for this board, does it open. */
#include <string.h>

#include "store.h"
#include "tyf/core/bytes.h"

tyf_status tyf_model_slot_read(uint32_t number, tyf_image_check_steps *check) {
    model_store *store = &tyf_model_store_state;
    model_slot *slot = &store->slots[number];
    const tyf_area area = model_area(number);
    const uint8_t *data = tyf_area_data(area);
    slot->report = (tyf_model_slot_report){.phase = slot->report.phase, .received = slot->report.received};
    if (data == NULL) {
        return TYF_ERR_FORMAT;
    }
    const tyf_status status = tyf_model_package_read(&slot->package, data, tyf_area_bytes(area));
    return status == TYF_OK ? tyf_image_check_start(check, data, tyf_area_bytes(area), &store->trust.wanted) : status;
}

tyf_status tyf_model_slot_step(uint32_t number, tyf_image_check_steps *check, uint32_t bytes) {
    tyf_model_slot_report *report = &tyf_model_store_state.slots[number].report;
    const tyf_status status = tyf_image_check_step(check, bytes);
    report->checked = check->hashed_bytes;
    if (status == TYF_OK && check->is_done) {
        memcpy(report->digest, check->image.digest, sizeof report->digest);
    }
    return status;
}

static bool has_kernel(const tyf_kernel_table *table, uint32_t id) {
    for (uint32_t i = 0; i < table->count; i++) {
        if (table->kernels[i].id == id) {
            return true;
        }
    }
    return false;
}

/* The blob is what was promised for it: what was checked on the outside holds inside. */
static bool is_as_promised(const tyf_model_package *package, const tyf_model *model) {
    return memcmp(model->model_id, package->model_id, TYF_SHA256_BYTES) == 0 &&
           model->arena_bytes == package->arena_bytes && model->input_bytes == package->input_bytes &&
           model->output_bytes == package->output_bytes && model->input_dtype == package->input_dtype &&
           model->output_dtype == package->output_dtype;
}

tyf_status tyf_model_slot_open(uint32_t number) {
    const tyf_model_store_config *config = &tyf_model_store_state.config;
    model_slot *slot = &tyf_model_store_state.slots[number];
    const tyf_model_package *package = &slot->package;
    if (package->kernel_abi != config->kernels->abi) {
        return TYF_ERR_TARGET;
    }
    for (uint32_t i = 0; i < package->kernel_count; i++) {
        if (!has_kernel(config->kernels, tyf_get_u32_le(package->kernels + 4u * i))) {
            return TYF_ERR_VERSION;
        }
    }
    if (package->arena_bytes > config->arena_bytes) {
        return TYF_ERR_ARENA;
    }
    const tyf_status status =
        tyf_blob_open(&slot->blob, config->kernels, package->blob, package->blob_bytes, config->arena_bytes);
    if (status != TYF_OK) {
        return status;
    }
    if (!is_as_promised(package, &slot->blob.model)) {
        return TYF_ERR_FORMAT;
    }
    slot->report.model = &slot->blob.model;
    return TYF_OK;
}
