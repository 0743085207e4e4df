/* What the parts of lib/sensor share. */
#ifndef TYF_SENSOR_PRIVATE_H
#define TYF_SENSOR_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

#include "tyf/core/config.h"
#include "tyf/identity/identity.h"
#include "tyf/model/model.h"
#include "tyf/smp/console.h"
#include "tyf/smp/server.h"
#include "tyf/telemetry/ring.h"

typedef struct {
    uint32_t inferences;
    uint32_t last_instructions;
    uint32_t max_instructions;
} tyf_sensor_counts;

/* A recording that the host feeds. */
typedef struct {
    uint32_t stream;        /* which one; only meaningful when is_open */
    uint32_t taken;         /* samples taken so far */
    uint32_t held;          /* samples in the window buffer */
    bool is_open;
} tyf_sensor_replay;

/* An input tensor that arrives in chunks, and what the last inference left. */
typedef struct {
    uint32_t held;
    bool has_output;
} tyf_sensor_tensor;

typedef struct {
    const tyf_model *model;
    uint8_t *arena;
    const char *app;
    tyf_identity identity;
    tyf_telemetry_ring ring;
    tyf_smp_console console;
    tyf_sensor_counts counts;
    tyf_sensor_replay replay;
    tyf_sensor_tensor tensor;
    bool is_reset_wanted;
} tyf_sensor;

extern tyf_sensor tyf_sensor_state;

/* Run the model on the input in the arena, count it, and return how long it took in microseconds. */
uint32_t tyf_sensor_infer(tyf_trace_fn trace, void *context);

/* Append a record of the last inference. */
void tyf_sensor_record(uint32_t stream, uint32_t sample_index, uint32_t latency_us);

/* One handler per command; each is a row in commands.c. */
int32_t tyf_sensor_echo(const tyf_smp_request *request, tyf_cbor_writer *reply);
int32_t tyf_sensor_task_stats(const tyf_smp_request *request, tyf_cbor_writer *reply);
int32_t tyf_sensor_reset(const tyf_smp_request *request, tyf_cbor_writer *reply);
int32_t tyf_sensor_params(const tyf_smp_request *request, tyf_cbor_writer *reply);
int32_t tyf_sensor_app_info(const tyf_smp_request *request, tyf_cbor_writer *reply);
int32_t tyf_sensor_hello(const tyf_smp_request *request, tyf_cbor_writer *reply);
int32_t tyf_sensor_model_info(const tyf_smp_request *request, tyf_cbor_writer *reply);
int32_t tyf_sensor_infer_chunk(const tyf_smp_request *request, tyf_cbor_writer *reply);
int32_t tyf_sensor_self_infer(const tyf_smp_request *request, tyf_cbor_writer *reply);
int32_t tyf_sensor_results(const tyf_smp_request *request, tyf_cbor_writer *reply);
int32_t tyf_sensor_replay_samples(const tyf_smp_request *request, tyf_cbor_writer *reply);
int32_t tyf_sensor_stats(const tyf_smp_request *request, tyf_cbor_writer *reply);

extern const tyf_smp_command tyf_sensor_commands[];
extern const uint32_t tyf_sensor_command_count;

#endif
