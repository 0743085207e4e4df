/* SMP group 64: who the device is, what it runs, what it counted, what it recorded. */
#include <stddef.h>

#include "sensor.h"
#include "tyf/port/system.h"
#include "tyf/port/time.h"

int32_t tyf_sensor_hello(const tyf_smp_request *request, tyf_cbor_writer *reply)
{
    (void)request;
    const tyf_sensor *s = &tyf_sensor_state;
    tyf_cbor_add_uint(reply, "proto_min", TYF_PROTOCOL_MIN);
    tyf_cbor_add_uint(reply, "proto_max", TYF_PROTOCOL_MAX);
    tyf_cbor_add_bytes(reply, "device_id", s->identity.device_id, sizeof s->identity.device_id);
    tyf_cbor_add_uint(reply, "boot_id", s->identity.boot_id);
    tyf_cbor_add_text(reply, "board", tyf_port_board());
    tyf_cbor_add_text(reply, "app", s->app);
    tyf_cbor_add_uint(reply, "uptime_us", tyf_port_uptime_us());
    return TYF_SMP_OK;
}

int32_t tyf_sensor_model_info(const tyf_smp_request *request, tyf_cbor_writer *reply)
{
    (void)request;
    const tyf_model *m = tyf_sensor_state.model;
    tyf_cbor_add_bytes(reply, "model_id", m->model_id, 32);
    tyf_cbor_add_uint(reply, "generation", 1);
    tyf_cbor_add_text(reply, "name", m->name);
    tyf_cbor_add_uint(reply, "arena_bytes", m->arena_bytes);
    tyf_cbor_add_uint(reply, "input_bytes", m->input_bytes);
    tyf_cbor_add_uint(reply, "output_bytes", m->output_bytes);
    tyf_cbor_add_uint(reply, "input_dtype", m->input_dtype);
    tyf_cbor_add_uint(reply, "output_dtype", m->output_dtype);
    tyf_cbor_add_uint(reply, "layers", m->layer_count);
    tyf_cbor_add_uint(reply, "channels", m->frontend != NULL ? m->frontend->channels : 0u);
    tyf_cbor_add_uint(reply, "window_samples", m->frontend != NULL ? m->frontend->window_samples : 0u);
    tyf_cbor_add_uint(reply, "hop_samples", m->frontend != NULL ? m->frontend->hop_samples : 0u);
    return TYF_SMP_OK;
}

int32_t tyf_sensor_stats(const tyf_smp_request *request, tyf_cbor_writer *reply)
{
    (void)request;
    const tyf_sensor *s = &tyf_sensor_state;
    tyf_port_fault fault;
    (void)tyf_port_last_fault(&fault); /* zeros when there was none */
    tyf_cbor_add_uint(reply, "inferences", s->counts.inferences);
    tyf_cbor_add_uint(reply, "records", s->ring.next_seq);
    tyf_cbor_add_uint(reply, "ring_overwrites", s->ring.overwritten);
    tyf_cbor_add_uint(reply, "last_instructions", s->counts.last_instructions);
    tyf_cbor_add_uint(reply, "max_instructions", s->counts.max_instructions);
    tyf_cbor_add_uint(reply, "stack_bytes", tyf_port_stack_bytes());
    tyf_cbor_add_uint(reply, "stack_used", tyf_port_stack_used_bytes());
    tyf_cbor_add_uint(reply, "bad_frames", s->console.bad_frames);
    tyf_cbor_add_uint(reply, "fault_pc", fault.pc);
    tyf_cbor_add_uint(reply, "fault_lr", fault.lr);
    tyf_cbor_add_uint(reply, "fault_cfsr", fault.cfsr);
    tyf_cbor_add_uint(reply, "resets", tyf_port_resets());
    return TYF_SMP_OK;
}

/* Bytes that the keys after the records take: next and lost. */
#define RESULTS_TAIL_BYTES 24u

int32_t tyf_sensor_results(const tyf_smp_request *request, tyf_cbor_writer *reply)
{
    const tyf_sensor *s = &tyf_sensor_state;
    uint32_t since = 0;
    uint32_t max = 0;
    if (tyf_cbor_find_u32(&request->map, "since", &since) != TYF_OK ||
        tyf_cbor_find_u32(&request->map, "max", &max) != TYF_OK) {
        return TYF_SMP_INVALID;
    }
    tyf_cbor_add_uint(reply, "boot_id", s->identity.boot_id);
    tyf_cbor_add_bytes(reply, "device_id", s->identity.device_id, sizeof s->identity.device_id);
    const uint32_t room = tyf_cbor_room_for_bytes(reply, "records", RESULTS_TAIL_BYTES);
    uint8_t *records = tyf_cbor_open_bytes(reply, "records", room);
    if (records == NULL) {
        return TYF_ERR_TOO_LARGE;
    }
    uint32_t next = 0;
    uint32_t lost = 0;
    const uint32_t bytes = tyf_telemetry_ring_read(&s->ring, since, max, records, room, &next, &lost);
    tyf_cbor_close_bytes(reply, bytes);
    /* A record that never fits into a frame must be said, or the host asks for it for ever. */
    if (bytes == 0 && max != 0 && next < s->ring.next_seq) {
        return TYF_ERR_TOO_LARGE;
    }
    tyf_cbor_add_uint(reply, "next", next);
    tyf_cbor_add_uint(reply, "lost", lost);
    return TYF_SMP_OK;
}
