#include "tyf/sensor/sensor.h"

#include <stddef.h>
#include <string.h>

#include "sensor.h"
#include "tyf/crash/crash.h"
#include "tyf/events/events.h"
#include "tyf/management/management.h"
#include "tyf/port/crash.h"
#include "tyf/port/guard.h"
#include "tyf/port/live.h"
#include "tyf/port/system.h"
#include "tyf/port/time.h"
#include "tyf/port/uart.h"
#include "tyf/session/group.h"

/* The generation of the model that is compiled in, where there are no others. */
#define COMPILED_IN_GENERATION 1u

/* Output bytes that a record keeps: no more than one reply of results carries beside its other fields (< 128 bytes),
 * or a host would ask for the record for ever. */
#define REPLY_OUTPUT_BYTES (TYF_SMP_MESSAGE_BYTES - 128u - TYF_RECORD_HEADER_BYTES)
#define MOST_OUTPUT_BYTES                                                                                              \
    (REPLY_OUTPUT_BYTES < TYF_RECORD_MAX_OUTPUT_BYTES ? REPLY_OUTPUT_BYTES : TYF_RECORD_MAX_OUTPUT_BYTES)

tyf_sensor tyf_sensor_state;

static uint8_t ring_memory[TYF_CFG_TELEMETRY_BYTES];

static void transmit(void *context, const uint8_t *data, uint32_t bytes) {
    (void)context;
    tyf_port_uart_write(data, bytes);
}

#if TYF_CFG_MODEL_ARENA_BYTES > 0
static bool is_same_window(const tyf_frontend *a, const tyf_frontend *b) {
    return a != NULL && b != NULL && a->channels == b->channels && a->window_samples == b->window_samples &&
           a->hop_samples == b->hop_samples;
}

/* What was begun for the model before it ends, unless it is the same for both. */
static void follow(const tyf_live_model *live) {
    tyf_sensor *s = &tyf_sensor_state;
    s->tensor = (tyf_sensor_tensor){0};
    s->replay.is_open = s->replay.is_open && is_same_window(s->live->model->frontend, live->model->frontend);
    s->live = live;
}

static void start_models(const tyf_model *model, uint8_t *arena, uint8_t *spare) {
    const uint32_t least = TYF_MODEL_STORE_ARENA_BYTES(model->arena_bytes);
    const uint32_t granule = TYF_GUARD_GRANULE(least);
    (void)tyf_model_store_start(&(tyf_model_store_config){.built_in = model,
                                                          .arenas = {arena, spare},
                                                          .arena_bytes = (least + granule - 1u) / granule * granule,
                                                          .kernels = &tyf_kernels,
                                                          .became_live = follow});
}
#else
static tyf_live_model built_in;
#endif

static void forget_inputs(void *context) {
    (void)context;
    const tyf_live_model *live = tyf_sensor_state.live;
    tyf_model_reset(live->model, live->arena);
}

void tyf_sensor_forget_inputs(void) {
    tyf_port_live_call(forget_inputs, NULL);
}

#if TYF_CFG_MODEL_ARENA_BYTES > 0
/* What became of the packages in the slots since this was called last. */
static void note_models(void) {
    for (uint32_t i = 0; i < TYF_MODEL_SLOTS; i++) {
        const tyf_model_slot_report report = tyf_model_store_slot(i);
        const bool is_news = report.phase == TYF_MODEL_PHASE_READY || report.phase == TYF_MODEL_PHASE_LIVE ||
                             report.phase == TYF_MODEL_PHASE_REFUSED;
        if (report.phase == tyf_sensor_state.noted[i]) {
            continue;
        }
        tyf_sensor_state.noted[i] = report.phase;
        if (is_news) {
            const uint32_t place = i == 0 ? TYF_MODEL_SLOT_0 : TYF_MODEL_SLOT_1;
            tyf_event(&(tyf_event_facts){.kind = TYF_EVENT_MODEL,
                                         .subject = (uint16_t)(place << 8 | (uint32_t)report.phase),
                                         .detail = report.generation,
                                         .result = (int8_t)report.status});
        }
    }
}
#endif

void tyf_sensor_start(const tyf_model *model, uint8_t *arena, uint8_t *spare) {
    memset(&tyf_sensor_state, 0, sizeof tyf_sensor_state);
    tyf_management_start(); /* and settings, which say what model is live */
#if TYF_CFG_MODEL_ARENA_BYTES > 0
    start_models(model, arena, spare);
#else
    (void)spare;
    built_in = (tyf_live_model){.model = model, .arena = arena, .generation = COMPILED_IN_GENERATION};
    tyf_sensor_state.live = &built_in;
    tyf_port_crash_names_model(model->model_id, COMPILED_IN_GENERATION);
    tyf_sensor_forget_inputs();
#endif
    tyf_sensor_stop_sampling();
    tyf_telemetry_ring_init(&tyf_sensor_state.ring, ring_memory, sizeof ring_memory);
    tyf_sensor_start_windows();
    tyf_smp_server_init(&tyf_sensor_state.server, &tyf_sensor_registry, TYF_SMP_TRUST_OPEN, transmit, NULL);
    /* Without identity or a durable boot the board answers management and produces no records: boot_id stays 0. */
    (void)tyf_identity_start(&tyf_sensor_state.identity);
    tyf_events_start(tyf_sensor_state.identity.boot_id);
#if TYF_CFG_MODEL_ARENA_BYTES > 0
    note_models();
#endif
    (void)tyf_crash_start(); /* the store of models and the log of events have seen the record */
#ifdef TYF_BOARD_AREA_SETTINGS_0_BYTES
    tyf_session_start(&tyf_sensor_registry, &tyf_sensor_state.identity);
#endif
#if TYF_CFG_BLE
    tyf_sensor_start_radio();
#endif
}

uint32_t tyf_sensor_infer(const tyf_live_model *live, tyf_trace_fn trace, void *context) {
    tyf_sensor *s = &tyf_sensor_state;
    const uint64_t start_us = tyf_port_uptime_us();
    const uint64_t start = tyf_port_ticks();
#if TYF_CFG_MODEL_ARENA_BYTES > 0
    tyf_model_store_offer(live);
#endif
    tyf_model_run(live->model, live->arena, trace, context);
    const uint64_t instructions = tyf_port_instructions(tyf_port_ticks() - start);
    const uint32_t latency_us = (uint32_t)(tyf_port_uptime_us() - start_us);
#if TYF_CFG_MODEL_ARENA_BYTES > 0
    tyf_model_store_answered(live, latency_us);
#endif
    s->counts.inferences++;
    if (trace == NULL) { /* a traced run also counts what the trace does */
        s->counts.last_instructions = instructions > UINT32_MAX ? UINT32_MAX : (uint32_t)instructions;
        if (s->counts.last_instructions > s->counts.max_instructions) {
            s->counts.max_instructions = s->counts.last_instructions;
        }
    }
    s->tensor.held = 0;
    s->tensor.has_output = true;
    return latency_us;
}

/* Index of the largest output element, lowest on ties; only int8 and uint8 outputs have one. */
static uint8_t top_of(const tyf_model *model, const uint8_t *output) {
    if ((model->output_dtype != TYF_DTYPE_INT8 && model->output_dtype != TYF_DTYPE_UINT8) ||
        model->output_bytes > TYF_RECORD_TOP_NONE) {
        return TYF_RECORD_TOP_NONE;
    }
    /* Flipping the sign bit orders int8 like uint8. */
    const uint8_t flip = model->output_dtype == TYF_DTYPE_INT8 ? 0x80u : 0u;
    uint8_t best = 0;
    for (uint32_t i = 1; i < model->output_bytes; i++) {
        if ((output[i] ^ flip) > (output[best] ^ flip)) {
            best = (uint8_t)i;
        }
    }
    return best;
}

void tyf_sensor_record(const tyf_live_model *live, uint32_t stream, uint32_t sample_index, uint32_t latency_us) {
    tyf_sensor *s = &tyf_sensor_state;
    const uint8_t *output = live->arena + live->model->output_offset;
    const tyf_telemetry_fields fields = {
        .boot_id = s->identity.boot_id,
        .stream = stream,
        .sample_index = sample_index,
        .latency_us = latency_us,
        .uptime_us = tyf_port_uptime_us(),
        .model_generation = live->generation,
        .top = top_of(live->model, output),
    };
    const uint32_t bytes =
        live->model->output_bytes < MOST_OUTPUT_BYTES ? live->model->output_bytes : MOST_OUTPUT_BYTES;
    tyf_telemetry_ring_append(&s->ring, &fields, output, bytes);
}

bool tyf_sensor_poll(void) {
    uint8_t received[64];
    const uint32_t count = tyf_port_uart_read(received, sizeof received);
    tyf_smp_server_receive(&tyf_sensor_state.server, received, count);
    bool is_asked = count != 0;
#if TYF_CFG_BLE
    is_asked |= tyf_sensor_poll_radio();
#endif
    tyf_sensor_poll_sampling();
    if (tyf_telemetry_ring_produced(&tyf_sensor_state.ring) == TYF_TELEMETRY_MOST_RECORDS) {
        tyf_port_reset(); /* the next boot counts from 0 */
    }
#if TYF_CFG_MODEL_ARENA_BYTES > 0
    /* Requests first: a test is one of many steps, and each of them may wait. */
    const bool is_busy = !is_asked && tyf_model_store_poll();
    if (is_asked || is_busy) {
        note_models();
    }
    return is_asked || is_busy;
#else
    return is_asked;
#endif
}
