/* SMP group 64: recordings fed by the host, as if a sensor had delivered them. */
#include <stddef.h>
#include <string.h>

#include "sensor.h"
#include "tyf/core/bytes.h"
#include "tyf/port/live.h"
#include "tyf/port/system.h"

static _Alignas(4) int16_t window[TYF_CFG_WINDOW_BYTES / sizeof(int16_t)];

static void answer_window(void *context) {
    (void)context;
    const tyf_sensor_replay *replay = &tyf_sensor_state.replay;
    const tyf_live_model *live = tyf_sensor_state.live;
    const tyf_frontend *frontend = live->model->frontend;
    /* The samples, not what the front end makes of them: a later model may see more in them. */
    tyf_sensor_keep_window(live, TYF_DTYPE_INT16, window,
                           (uint32_t)frontend->window_samples * frontend->channels * sizeof window[0]);
    tyf_frontend_apply(frontend, window, (int8_t *)(live->arena + live->model->input_offset));
    const uint32_t latency_us = tyf_sensor_infer(live, NULL, NULL);
    tyf_sensor_record(live, replay->stream, replay->taken - frontend->window_samples, latency_us);
}

/* The window is full: infer, record, and keep what the next window shares with it. */
static void finish_window(const tyf_frontend *frontend) {
    tyf_port_live_call(answer_window, NULL);
    tyf_port_watchdog_feed(); /* many windows in one message must not look like a hang */
    const uint32_t kept = frontend->window_samples - (uint32_t)frontend->hop_samples;
    memmove(window, window + (size_t)frontend->hop_samples * frontend->channels,
            (size_t)kept * frontend->channels * sizeof window[0]);
    tyf_sensor_state.replay.held = kept;
}

static void take_sample(const tyf_frontend *frontend, const uint8_t *sample) {
    tyf_sensor_replay *replay = &tyf_sensor_state.replay;
    int16_t *to = window + (size_t)replay->held * frontend->channels;
    for (uint32_t c = 0; c < frontend->channels; c++) {
        to[c] = (int16_t)tyf_get_u16_le(sample + 2u * c);
    }
    replay->held++;
    replay->taken++;
    if (replay->held == frontend->window_samples) {
        finish_window(frontend);
    }
}

int tyf_sensor_replay_samples(tyf_smp_exchange *exchange) {
    tyf_sensor *s = &tyf_sensor_state;
    const tyf_model *model = s->live->model;
    const tyf_frontend *frontend = model->frontend;
    const tyf_replay_request *request = exchange->request;
    const uint32_t stream = request->stream;
    const uint32_t off = request->off;
    const tyf_cbor_string data = request->data;
    if (frontend == NULL) {
        return TYF_ERR_NO_FRONTEND;
    }
    if (model->reset != NULL && tyf_sensor_is_sampling()) {
        return TYF_ERR_STATE; /* a streaming model remembers inputs: those of two streams must not mix */
    }
    if (s->identity.boot_id == 0) {
        return TYF_ERR_NO_IDENTITY;
    }
    const uint32_t sample_bytes = 2u * (uint32_t)frontend->channels;
    if (frontend->window_samples > sizeof window / sample_bytes) {
        return TYF_ERR_ARENA;
    }
    if (stream == TYF_SENSOR_OWN_STREAM || data.bytes % sample_bytes != 0) {
        return TYF_ERR_ARG;
    }
    tyf_sensor_replay *replay = &s->replay;
    if (off == 0 && !(replay->is_open && replay->stream == stream)) {
        *replay = (tyf_sensor_replay){.stream = stream, .is_open = true};
        tyf_sensor_forget_inputs();
    }
    if (replay->is_open && replay->stream == stream && replay->taken == off) {
        for (uint32_t i = 0; i < data.bytes; i += sample_bytes) {
            take_sample(frontend, data.data + i);
        }
    }
    tyf_cbor_add_uint(&exchange->reply, "stream", replay->stream);
    tyf_cbor_add_uint(&exchange->reply, "off", replay->taken);
    tyf_cbor_add_uint(&exchange->reply, "seq", tyf_telemetry_ring_produced(&s->ring));
    return TYF_SMP_OK;
}
