/* What the parts of lib/sensor share. */
#ifndef TYF_SENSOR_PRIVATE_H
#define TYF_SENSOR_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

#include "tyf/core/config.h"
#include "tyf/identity/identity.h"
#include "tyf/model/model.h"
#include "tyf/model_store/store.h"
#include "tyf/smp/server.h"
#include "tyf/telemetry/ring.h"
#include "tyf/telemetry/windows.h"

typedef struct {
    uint32_t inferences;
    uint32_t last_instructions;
    uint32_t max_instructions;
} tyf_sensor_counts;

/* A recording that the host feeds. */
typedef struct {
    uint32_t stream; /* which one; only meaningful when is_open */
    uint32_t taken;  /* samples taken so far */
    uint32_t held;   /* samples in the window buffer */
    bool is_open;
} tyf_sensor_replay;

/* An input tensor that arrives in chunks, and what the last inference left. */
typedef struct {
    uint32_t held;
    bool has_output;
} tyf_sensor_tensor;

/* Number of the stream that a board's own sensor makes. */
#define TYF_SENSOR_OWN_STREAM 0u

/*
 * Management writes live, replay and tensor; live inference writes counts, the ring, the windows, and tensor at the end
 * of an answer. Readers of ring and windows know that it may preempt them. All else is read by both and written while
 * neither looks.
 */
typedef struct {
    const tyf_live_model *volatile live; /* the model that answers: each answer reads it once, at its start */
    tyf_identity identity;
    tyf_telemetry_ring ring;
#if TYF_CFG_CAPTURE_BYTES > 0
    tyf_telemetry_windows windows;
#endif
    tyf_smp_server server;
    tyf_sensor_counts counts;
    tyf_sensor_replay replay;
    tyf_sensor_tensor tensor;
#if TYF_CFG_MODEL_ARENA_BYTES > 0
    tyf_model_phase noted[TYF_MODEL_SLOTS]; /* of the slots, as the log of events has them */
#endif
} tyf_sensor;

extern tyf_sensor tyf_sensor_state;

/* In live inference: run the model on the input in its arena, count it, and return how long it took in microseconds. */
uint32_t tyf_sensor_infer(const tyf_live_model *live, tyf_trace_fn trace, void *context);

/* In live inference: append a record of the last inference. */
void tyf_sensor_record(const tyf_live_model *live, uint32_t stream, uint32_t sample_index, uint32_t latency_us);

/* Start with no windows. */
void tyf_sensor_start_windows(void);

/* In live inference: keep what the next record will be made from. Before the model runs: it overwrites its input. */
void tyf_sensor_keep_window(const tyf_live_model *live, tyf_dtype dtype, const void *data, uint32_t bytes);

/* Let the model that answers forget earlier inputs. */
void tyf_sensor_forget_inputs(void);

/* Whether the board's own sensor answers now: then the arena is never management's. */
bool tyf_sensor_is_sampling(void);

/* Forget what was sampled. */
void tyf_sensor_stop_sampling(void);

/* End sampling when its last answer was given. */
void tyf_sensor_poll_sampling(void);

#if TYF_CFG_BLE
/* Management through the air; starts when the identity is known and sessions are there. */
void tyf_sensor_start_radio(void);
bool tyf_sensor_poll_radio(void);
#endif

/* One handler per command; each is an entry in commands.c. */
int tyf_sensor_hello(tyf_smp_exchange *exchange);
int tyf_sensor_model_info(tyf_smp_exchange *exchange);
int tyf_sensor_infer_chunk(tyf_smp_exchange *exchange);
int tyf_sensor_read_output(tyf_smp_exchange *exchange);
int tyf_sensor_self_infer(tyf_smp_exchange *exchange);
int tyf_sensor_results(tyf_smp_exchange *exchange);
int tyf_sensor_replay_samples(tyf_smp_exchange *exchange);
int tyf_sensor_stats(tyf_smp_exchange *exchange);
int tyf_sensor_sample(tyf_smp_exchange *exchange);
int tyf_sensor_sampling_state(tyf_smp_exchange *exchange);
int tyf_sensor_read_window(tyf_smp_exchange *exchange);

/* The counters since boot, as stats and the statistics group tell them. */
void tyf_sensor_add_stats(tyf_cbor_writer *fields);

extern const tyf_smp_registry tyf_sensor_registry;

#endif
