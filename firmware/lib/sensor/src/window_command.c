/* SMP group 64: what the answer of a record was made from. */
#include <stddef.h>

#include "sensor.h"
#include "tyf/telemetry/windows.h"

#if TYF_CFG_CAPTURE_BYTES > 0

static _Alignas(4) uint8_t memory[TYF_CFG_CAPTURE_BYTES];

void tyf_sensor_start_windows(void) {
    tyf_telemetry_windows_init(&tyf_sensor_state.windows, memory, sizeof memory);
}

void tyf_sensor_keep_window(const tyf_live_model *live, tyf_dtype dtype, const void *data, uint32_t bytes) {
    tyf_sensor *s = &tyf_sensor_state;
    const tyf_frontend *frontend = live->model->frontend;
    const tyf_window_layout layout = {
        .bytes = bytes,
        .channels = frontend != NULL ? frontend->channels : 0u,
        .dtype = (uint8_t)dtype,
        .is_of_stream = live->model->reset != NULL,
    };
    tyf_telemetry_windows_keep(&s->windows, tyf_telemetry_ring_produced(&s->ring), &layout, data);
}

/* Bytes that the keys after the data take. */
#define WINDOW_TAIL_BYTES 40u

int tyf_sensor_read_window(tyf_smp_exchange *exchange) {
    const tyf_sensor *s = &tyf_sensor_state;
    const tyf_window_request *request = exchange->request;
    if (request->boot_id != s->identity.boot_id) {
        return request->boot_id < s->identity.boot_id ? TYF_ERR_GONE : TYF_ERR_ARG;
    }
    tyf_cbor_add_uint(&exchange->reply, "off", request->off);
    tyf_window_piece piece = {.capacity = tyf_cbor_room_for_bytes(&exchange->reply, "data", WINDOW_TAIL_BYTES)};
    uint8_t *data = tyf_cbor_open_bytes(&exchange->reply, "data", piece.capacity);
    if (data == NULL) {
        return TYF_SMP_EMSGSIZE;
    }
    const tyf_status status = tyf_telemetry_windows_read(&s->windows, request->seq, request->off, data, &piece);
    if (status != TYF_OK) {
        return status == TYF_ERR_TOO_LARGE ? TYF_SMP_ENOTSUP : status;
    }
    tyf_cbor_close_bytes(&exchange->reply, piece.bytes);
    tyf_cbor_add_uint(&exchange->reply, "len", piece.layout.bytes);
    tyf_cbor_add_uint(&exchange->reply, "dtype", piece.layout.dtype);
    tyf_cbor_add_uint(&exchange->reply, "channels", piece.layout.channels);
    if (piece.layout.is_of_stream) {
        tyf_cbor_add_bool(&exchange->reply, "state", true);
    }
    return TYF_SMP_OK;
}

#else

void tyf_sensor_start_windows(void) {
}

void tyf_sensor_keep_window(const tyf_live_model *live, tyf_dtype dtype, const void *data, uint32_t bytes) {
    (void)live;
    (void)dtype;
    (void)data;
    (void)bytes;
}

int tyf_sensor_read_window(tyf_smp_exchange *exchange) {
    (void)exchange;
    return TYF_SMP_ENOTSUP;
}

#endif
