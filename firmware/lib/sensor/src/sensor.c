#include "tyf/sensor/sensor.h"

#include <stddef.h>
#include <string.h>

#include "sensor.h"
#include "tyf/core/bytes.h"
#include "tyf/port/system.h"
#include "tyf/port/time.h"
#include "tyf/port/uart.h"

/* The generation of the model that is compiled in; models that are loaded later count up. */
#define COMPILED_IN_GENERATION 1u

tyf_sensor tyf_sensor_state;

static uint8_t ring_memory[TYF_CFG_TELEMETRY_BYTES];
/* The echo of the largest request has one byte more: the end mark of its map. */
static uint8_t reply_memory[TYF_SMP_MESSAGE_BYTES + 1u];

void tyf_sensor_start(const tyf_model *model, uint8_t *arena, const char *app)
{
    memset(&tyf_sensor_state, 0, sizeof tyf_sensor_state);
    tyf_sensor_state.model = model;
    tyf_sensor_state.arena = arena;
    tyf_sensor_state.app = app;
    tyf_telemetry_ring_init(&tyf_sensor_state.ring, ring_memory, sizeof ring_memory);
    /* Without identity or a durable boot the board answers management and produces no records: boot_id stays 0. */
    (void)tyf_identity_start(&tyf_sensor_state.identity);
}

uint32_t tyf_sensor_infer(tyf_trace_fn trace, void *context)
{
    tyf_sensor *s = &tyf_sensor_state;
    const uint64_t start_us = tyf_port_uptime_us();
    const uint64_t start = tyf_port_ticks();
    s->model->run(s->arena, trace, context);
    const uint64_t instructions = tyf_port_instructions(tyf_port_ticks() - start);
    const uint32_t latency_us = (uint32_t)(tyf_port_uptime_us() - start_us);
    s->counts.inferences++;
    s->counts.last_instructions = instructions > UINT32_MAX ? UINT32_MAX : (uint32_t)instructions;
    if (s->counts.last_instructions > s->counts.max_instructions) {
        s->counts.max_instructions = s->counts.last_instructions;
    }
    s->tensor.held = 0;
    s->tensor.has_output = true;
    /* A long proof must not look like a hang. */
    tyf_port_watchdog_feed();
    return latency_us;
}

/* Index of the largest output element, lowest on ties; only int8 and uint8 outputs have one. */
static uint8_t top_of(const tyf_model *model, const uint8_t *output)
{
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

void tyf_sensor_record(uint32_t stream, uint32_t sample_index, uint32_t latency_us)
{
    static uint8_t record[TYF_RECORD_HEADER_BYTES + TYF_RECORD_MAX_OUTPUT_BYTES];
    tyf_sensor *s = &tyf_sensor_state;
    const uint8_t *output = s->arena + s->model->output_offset;
    const uint32_t output_bytes =
        s->model->output_bytes < TYF_RECORD_MAX_OUTPUT_BYTES ? s->model->output_bytes : TYF_RECORD_MAX_OUTPUT_BYTES;
    const uint32_t bytes = TYF_RECORD_HEADER_BYTES + output_bytes;
    record[TYF_RECORD_VERSION_OFFSET] = TYF_RECORD_VERSION;
    record[TYF_RECORD_KIND_OFFSET] = TYF_RECORD_KIND_INFERENCE;
    tyf_put_u16_le(record + TYF_RECORD_RECORD_BYTES_OFFSET, (uint16_t)bytes);
    tyf_put_u32_le(record + TYF_RECORD_BOOT_ID_OFFSET, s->identity.boot_id);
    tyf_put_u32_le(record + TYF_RECORD_SEQ_OFFSET, s->ring.next_seq);
    tyf_put_u32_le(record + TYF_RECORD_STREAM_OFFSET, stream);
    tyf_put_u32_le(record + TYF_RECORD_SAMPLE_INDEX_OFFSET, sample_index);
    tyf_put_u32_le(record + TYF_RECORD_LATENCY_US_OFFSET, latency_us);
    tyf_put_u64_le(record + TYF_RECORD_UPTIME_US_OFFSET, tyf_port_uptime_us());
    record[TYF_RECORD_MODEL_GENERATION_OFFSET] = COMPILED_IN_GENERATION;
    record[TYF_RECORD_TOP_OFFSET] = top_of(s->model, output);
    record[TYF_RECORD_FLAGS_OFFSET] = 0;
    record[TYF_RECORD_RESERVED_OFFSET] = 0;
    memcpy(record + TYF_RECORD_HEADER_BYTES, output, output_bytes);
    (void)tyf_telemetry_ring_append(&s->ring, record, bytes); /* always fits: TYF_CFG_TELEMETRY_BYTES >= 2048 */
}

static void answer(uint32_t message_bytes)
{
    const uint32_t bytes = tyf_smp_serve(tyf_sensor_commands, tyf_sensor_command_count,
                                         tyf_smp_console_message(&tyf_sensor_state.console), message_bytes, reply_memory,
                                         sizeof reply_memory);
    if (bytes != 0) {
        tyf_smp_console_send(reply_memory, bytes, tyf_port_uart_write);
    }
    if (tyf_sensor_state.is_reset_wanted) {
        tyf_port_reset();
    }
}

bool tyf_sensor_poll(void)
{
    uint8_t received[64];
    const uint32_t count = tyf_port_uart_read(received, sizeof received);
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t message_bytes = tyf_smp_console_feed(&tyf_sensor_state.console, received[i]);
        if (message_bytes != 0) {
            answer(message_bytes);
        }
    }
    return count != 0;
}
