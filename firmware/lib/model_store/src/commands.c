/* SMP group 64: models as objects. */
#include "tyf/model_store/commands.h"

#include <stddef.h>

#include "store.h"
#include "tyf/core/bytes.h"

static void add_slot(tyf_cbor_writer *reply, const char *key, uint32_t slot) {
    const tyf_model_slot_report report = tyf_model_store_slot(slot);
    tyf_cbor_add_map(reply, key);
    tyf_cbor_add_uint(reply, "phase", report.phase);
    tyf_cbor_add_uint(reply, "status", (uint32_t)-(int32_t)report.status);
    tyf_cbor_add_uint(reply, "generation", report.generation);
    tyf_cbor_add_uint(reply, "received", report.received);
    tyf_cbor_add_uint(reply, "checked", report.checked);
    tyf_cbor_add_uint(reply, "proved", report.proved);
    tyf_cbor_add_uint(reply, "shadowed", report.shadowed);
    tyf_cbor_add_uint(reply, "agreed", report.agreed);
    tyf_cbor_add_uint(reply, "fault_pc", report.fault_pc);
    if (report.model != NULL) {
        tyf_cbor_add_bytes(reply, "digest", report.digest, sizeof report.digest);
        tyf_cbor_add_bytes(reply, "model_id", report.model->model_id, TYF_SHA256_BYTES);
        tyf_cbor_add_text(reply, "name", report.model->name);
    }
    tyf_cbor_end(reply);
}

int tyf_model_store_on_models(tyf_smp_exchange *exchange) {
    const tyf_models_request *request = exchange->request;
    const tyf_model_store_config *config = &tyf_model_store_state.config;
    const tyf_live_model *live = tyf_model_store_live();
    tyf_cbor_writer *reply = &exchange->reply;
    tyf_cbor_add_uint(reply, "live", live->place);
    tyf_cbor_add_uint(reply, "generation", live->generation);
    tyf_cbor_add_uint(reply, "previous", tyf_model_store_previous());
    tyf_cbor_add_uint(reply, "reverts", tyf_model_store_reverts());
    tyf_cbor_add_uint(reply, "arena_bytes", config->arena_bytes);
    tyf_cbor_add_uint(reply, "slot_bytes", tyf_area_bytes(TYF_AREA_MODEL_0));
    tyf_cbor_add_uint(reply, "kernel_abi", config->kernels->abi);
    add_slot(reply, "slot_0", 0);
    add_slot(reply, "slot_1", 1);
    if (request->kernels) {
        uint8_t *ids = tyf_cbor_open_bytes(reply, "kernels", 4u * config->kernels->count);
        if (ids == NULL) {
            return TYF_SMP_EMSGSIZE;
        }
        for (uint32_t i = 0; i < config->kernels->count; i++) {
            tyf_put_u32_le(ids + (size_t)4u * i, config->kernels->kernels[i].id);
        }
        tyf_cbor_close_bytes(reply, 4u * config->kernels->count);
    }
    return TYF_SMP_OK;
}

int tyf_model_store_on_upload(tyf_smp_exchange *exchange) {
    const tyf_model_upload_request *request = exchange->request;
    if (request->off == 0 && request->sha.data == NULL) {
        return TYF_SMP_EINVAL;
    }
    const tyf_model_piece piece = {.offset = request->off,
                                   .data = request->data.data,
                                   .bytes = request->data.bytes,
                                   .total = request->len,
                                   .sha256 = request->sha.data};
    uint32_t next = 0;
    const tyf_status status = tyf_model_store_receive(&piece, &next);
    tyf_cbor_add_uint(&exchange->reply, "off", next);
    if (tyf_model_store_state.transfer.slot != MODEL_NONE && tyf_model_store_state.transfer.copy != 0) {
        tyf_cbor_add_bool(&exchange->reply, "copying", true);
    }
    return status;
}

int tyf_model_store_on_test(tyf_smp_exchange *exchange) {
    const tyf_model_test_request *request = exchange->request;
    return tyf_model_store_test(&(tyf_model_policy){.shadow = request->shadow,
                                                    .agree = request->agree,
                                                    .difference = request->difference,
                                                    .budget_ms = request->budget_ms,
                                                    .deadline_us = request->deadline_us,
                                                    .late = request->late,
                                                    .stuck = request->stuck,
                                                    .skips_shadow = request->skip_shadow,
                                                    .confirms = request->confirm});
}

static int with_generation(tyf_smp_exchange *exchange, tyf_status status) {
    tyf_cbor_add_uint(&exchange->reply, "generation", tyf_model_store_live()->generation);
    return status;
}

int tyf_model_store_on_confirm(tyf_smp_exchange *exchange) {
    const tyf_model_confirm_request *request = exchange->request;
    return with_generation(exchange, tyf_model_store_confirm(request->digest.data));
}

int tyf_model_store_on_revert(tyf_smp_exchange *exchange) {
    return with_generation(exchange, tyf_model_store_revert());
}

int tyf_model_store_on_erase(tyf_smp_exchange *exchange) {
    (void)exchange;
    return tyf_model_store_erase();
}
