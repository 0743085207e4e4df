#include "tyf/sensor/sensor.h"

#include <stddef.h>
#include <string.h>

#include "sensor.h"
#include "tyf/management/management.h"
#include "tyf/port/guard.h"
#include "tyf/port/system.h"
#include "tyf/port/time.h"
#include "tyf/port/uart.h"

/* The generation of the model that is compiled in; models that are loaded later count up. */
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
static void start_models(const tyf_model *model, uint8_t *arena, uint8_t *spare) {
    const uint32_t least = TYF_MODEL_STORE_ARENA_BYTES(model->arena_bytes);
    const uint32_t granule = TYF_GUARD_GRANULE(least);
    (void)tyf_model_store_start(&(tyf_model_store_config){.built_in = model,
                                                          .arenas = {arena, spare},
                                                          .arena_bytes = (least + granule - 1u) / granule * granule,
                                                          .kernels = &tyf_kernels});
    tyf_sensor_state.live = tyf_model_store_live();
    tyf_sensor_state.model = tyf_sensor_state.live->model;
    tyf_sensor_state.arena = tyf_sensor_state.live->arena;
}
#endif

void tyf_sensor_start(const tyf_model *model, uint8_t *arena, uint8_t *spare) {
    memset(&tyf_sensor_state, 0, sizeof tyf_sensor_state);
    tyf_management_start(); /* and settings, which say what model is live */
#if TYF_CFG_MODEL_ARENA_BYTES > 0
    start_models(model, arena, spare);
#else
    (void)spare;
    tyf_sensor_state.model = model;
    tyf_sensor_state.arena = arena;
    tyf_model_reset(model, arena);
#endif
    tyf_telemetry_ring_init(&tyf_sensor_state.ring, ring_memory, sizeof ring_memory);
    tyf_smp_server_init(&tyf_sensor_state.server, &tyf_sensor_registry, TYF_SMP_TRUST_OPEN, transmit, NULL);
    /* Without identity or a durable boot the board answers management and produces no records: boot_id stays 0. */
    (void)tyf_identity_start(&tyf_sensor_state.identity);
}

uint32_t tyf_sensor_infer(tyf_trace_fn trace, void *context) {
    tyf_sensor *s = &tyf_sensor_state;
    const uint64_t start_us = tyf_port_uptime_us();
    const uint64_t start = tyf_port_ticks();
#if TYF_CFG_MODEL_ARENA_BYTES > 0
    tyf_model_store_offer(s->live);
#endif
    tyf_model_run(s->model, s->arena, trace, context);
    const uint64_t instructions = tyf_port_instructions(tyf_port_ticks() - start);
    const uint32_t latency_us = (uint32_t)(tyf_port_uptime_us() - start_us);
#if TYF_CFG_MODEL_ARENA_BYTES > 0
    tyf_model_store_answered(s->live, latency_us);
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
    /* A long proof must not look like a hang. */
    tyf_port_watchdog_feed();
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

void tyf_sensor_record(uint32_t stream, uint32_t sample_index, uint32_t latency_us) {
    tyf_sensor *s = &tyf_sensor_state;
    const uint8_t *output = s->arena + s->model->output_offset;
    const tyf_telemetry_fields fields = {
        .boot_id = s->identity.boot_id,
        .stream = stream,
        .sample_index = sample_index,
        .latency_us = latency_us,
        .uptime_us = tyf_port_uptime_us(),
        .model_generation = tyf_sensor_generation(),
        .top = top_of(s->model, output),
    };
    const uint32_t bytes = s->model->output_bytes < MOST_OUTPUT_BYTES ? s->model->output_bytes : MOST_OUTPUT_BYTES;
    tyf_telemetry_ring_append(&s->ring, &fields, output, bytes);
}

uint8_t tyf_sensor_generation(void) {
#if TYF_CFG_MODEL_ARENA_BYTES > 0
    return tyf_sensor_state.live->generation;
#else
    return COMPILED_IN_GENERATION;
#endif
}

#if TYF_CFG_MODEL_ARENA_BYTES > 0
static bool is_same_window(const tyf_frontend *a, const tyf_frontend *b) {
    return a != NULL && b != NULL && a->channels == b->channels && a->window_samples == b->window_samples &&
           a->hop_samples == b->hop_samples;
}

/* From here on the live model answers. What was begun for the one before it ends, unless it is the same for both. */
static void follow_live_model(void) {
    tyf_sensor *s = &tyf_sensor_state;
    const tyf_live_model *live = tyf_model_store_live();
    if (live == s->live) {
        return;
    }
    s->tensor = (tyf_sensor_tensor){0};
    s->replay.is_open = s->replay.is_open && is_same_window(s->model->frontend, live->model->frontend);
    const uint32_t held = tyf_port_hold_interrupts();
    s->live = live;
    s->model = live->model;
    s->arena = live->arena;
    tyf_port_resume_interrupts(held);
}
#endif

bool tyf_sensor_poll(void) {
    uint8_t received[64];
    const uint32_t count = tyf_port_uart_read(received, sizeof received);
    tyf_smp_server_receive(&tyf_sensor_state.server, received, count);
#if TYF_CFG_MODEL_ARENA_BYTES > 0
    /* Requests first: a test is one of many steps, and each of them may wait. */
    const bool is_busy = count == 0 && tyf_model_store_poll();
    follow_live_model();
    return count != 0 || is_busy;
#else
    return count != 0;
#endif
}
