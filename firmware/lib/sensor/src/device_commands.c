/* SMP group 64: who the device is, what it runs, what it counted, what it recorded. */
#include <stddef.h>

#include "sensor.h"
#include "tyf/management/management.h"
#include "tyf/port/system.h"
#include "tyf/port/time.h"

int tyf_sensor_hello(tyf_smp_exchange *exchange) {
    const tyf_sensor *s = &tyf_sensor_state;
    tyf_cbor_add_uint(&exchange->reply, "proto_min", TYF_PROTOCOL_MIN);
    tyf_cbor_add_uint(&exchange->reply, "proto_max", TYF_PROTOCOL_MAX);
    tyf_cbor_add_bytes(&exchange->reply, "device_id", s->identity.device_id, sizeof s->identity.device_id);
    tyf_cbor_add_uint(&exchange->reply, "boot_id", s->identity.boot_id);
    tyf_cbor_add_text(&exchange->reply, "board", tyf_port_board());
    tyf_cbor_add_text(&exchange->reply, "app", tyf_smp_application);
    tyf_cbor_add_uint(&exchange->reply, "uptime_us", tyf_port_uptime_us());
    return TYF_SMP_OK;
}

int tyf_sensor_model_info(tyf_smp_exchange *exchange) {
    const tyf_live_model *live = tyf_sensor_state.live;
    const tyf_model *m = live->model;
    tyf_cbor_add_bytes(&exchange->reply, "model_id", m->model_id, 32);
    tyf_cbor_add_uint(&exchange->reply, "generation", live->generation);
    tyf_cbor_add_text(&exchange->reply, "name", m->name);
    tyf_cbor_add_uint(&exchange->reply, "arena_bytes", m->arena_bytes);
    tyf_cbor_add_uint(&exchange->reply, "input_bytes", m->input_bytes);
    tyf_cbor_add_uint(&exchange->reply, "output_bytes", m->output_bytes);
    tyf_cbor_add_uint(&exchange->reply, "input_dtype", m->input_dtype);
    tyf_cbor_add_uint(&exchange->reply, "output_dtype", m->output_dtype);
    tyf_cbor_add_uint(&exchange->reply, "layers", m->layer_count);
    tyf_cbor_add_uint(&exchange->reply, "channels", m->frontend != NULL ? m->frontend->channels : 0u);
    tyf_cbor_add_uint(&exchange->reply, "window_samples", m->frontend != NULL ? m->frontend->window_samples : 0u);
    tyf_cbor_add_uint(&exchange->reply, "hop_samples", m->frontend != NULL ? m->frontend->hop_samples : 0u);
    return TYF_SMP_OK;
}

void tyf_sensor_add_stats(tyf_cbor_writer *fields) {
    const tyf_sensor *s = &tyf_sensor_state;
    tyf_port_fault fault;
    (void)tyf_port_last_fault(&fault); /* zeros when there was none */
    tyf_cbor_add_uint(fields, "inferences", s->counts.inferences);
    tyf_cbor_add_uint(fields, "records", tyf_telemetry_ring_produced(&s->ring));
    tyf_cbor_add_uint(fields, "ring_overwrites", tyf_telemetry_ring_overwrites(&s->ring));
    tyf_cbor_add_uint(fields, "last_instructions", s->counts.last_instructions);
    tyf_cbor_add_uint(fields, "max_instructions", s->counts.max_instructions);
    tyf_cbor_add_uint(fields, "stack_bytes", tyf_port_stack_bytes());
    tyf_cbor_add_uint(fields, "stack_used", tyf_port_stack_used_bytes());
    tyf_cbor_add_uint(fields, "bad_frames", tyf_smp_server_bad_frames(&s->server));
    tyf_cbor_add_uint(fields, "fault_pc", fault.pc);
    tyf_cbor_add_uint(fields, "fault_lr", fault.lr);
    tyf_cbor_add_uint(fields, "fault_cfsr", fault.cfsr);
    tyf_cbor_add_uint(fields, "resets", tyf_port_resets());
}

int tyf_sensor_stats(tyf_smp_exchange *exchange) {
    tyf_sensor_add_stats(&exchange->reply);
    return TYF_SMP_OK;
}

/* Bytes that the keys after the records take: next and lost. */
#define RESULTS_TAIL_BYTES 24u

int tyf_sensor_results(tyf_smp_exchange *exchange) {
    const tyf_sensor *s = &tyf_sensor_state;
    const tyf_results_request *request = exchange->request;
    tyf_cbor_add_uint(&exchange->reply, "boot_id", s->identity.boot_id);
    tyf_cbor_add_bytes(&exchange->reply, "device_id", s->identity.device_id, sizeof s->identity.device_id);
    const uint32_t room = tyf_cbor_room_for_bytes(&exchange->reply, "records", RESULTS_TAIL_BYTES);
    uint8_t *records = tyf_cbor_open_bytes(&exchange->reply, "records", room);
    if (records == NULL) {
        return TYF_SMP_EMSGSIZE;
    }
    const tyf_telemetry_batch batch = tyf_telemetry_ring_read(&s->ring, request->since, request->max, records, room);
    tyf_cbor_close_bytes(&exchange->reply, batch.bytes);
    tyf_cbor_add_uint(&exchange->reply, "next", batch.next);
    tyf_cbor_add_uint(&exchange->reply, "lost", batch.lost);
    return TYF_SMP_OK;
}
