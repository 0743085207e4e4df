/* SMP group 64: the board's own sensor. It is a seed: what it measures is known, so what the model answers can be
 * checked. */
#include <stddef.h>

#include "sensor.h"
#include "tyf/model/seeded.h"
#include "tyf/port/live.h"
#include "tyf/port/time.h"

#if TYF_CFG_GUARD

/* Written by live inference while is_on, else by management. */
static struct {
    uint32_t seed;
    uint32_t count; /* answers wanted; 0: no end */
    volatile uint32_t answers;
    volatile uint32_t max_gap_us; /* longest time between the ends of two answers */
    uint64_t last_us;
    uint32_t late; /* of what has ended */
    bool is_on;
} sampling;

static bool is_done(void) {
    return sampling.count != 0 && sampling.answers >= sampling.count;
}

static void answer_sample(void *context) {
    (void)context;
    tyf_sensor *s = &tyf_sensor_state;
    const tyf_live_model *live = s->live;
    const tyf_model *model = live->model;
    if (is_done()) {
        return;
    }
    const uint32_t answers = sampling.answers;
    tyf_seeded_input(sampling.seed, answers, model->input_dtype, live->arena + model->input_offset, model->input_bytes);
    tyf_sensor_keep_window(live, model->input_dtype, live->arena + model->input_offset, model->input_bytes);
    const uint32_t latency_us = tyf_sensor_infer(live, NULL, NULL);
    s->tensor = (tyf_sensor_tensor){0}; /* it is no output of a host's tensor */
    tyf_sensor_record(live, TYF_SENSOR_OWN_STREAM, answers, latency_us);
    const uint64_t now_us = tyf_port_uptime_us();
    const uint64_t gap_us = now_us - sampling.last_us;
    if (answers != 0 && gap_us > sampling.max_gap_us) {
        sampling.max_gap_us = (uint32_t)gap_us;
    }
    sampling.last_us = now_us;
    sampling.answers = answers + 1u;
}

bool tyf_sensor_is_sampling(void) {
    return sampling.is_on;
}

static void let_sample(uint32_t period_ms) {
    if (sampling.is_on) {
        sampling.late = tyf_port_live_late();
    }
    sampling.is_on = period_ms != 0;
    (void)tyf_port_live_every(period_ms, answer_sample, NULL);
}

void tyf_sensor_stop_sampling(void) {
    let_sample(0);
    sampling.answers = 0;
    sampling.max_gap_us = 0;
    sampling.late = 0;
}

void tyf_sensor_poll_sampling(void) {
    if (sampling.is_on && is_done()) {
        let_sample(0);
    }
}

static void say_state(tyf_cbor_writer *reply) {
    tyf_cbor_add_bool(reply, "running", sampling.is_on && !is_done());
    tyf_cbor_add_uint(reply, "answers", sampling.answers);
    tyf_cbor_add_uint(reply, "late", sampling.is_on ? tyf_port_live_late() : sampling.late);
    tyf_cbor_add_uint(reply, "max_gap_us", sampling.max_gap_us);
}

int tyf_sensor_sample(tyf_smp_exchange *exchange) {
    const tyf_sampling_request *request = exchange->request;
    if (tyf_sensor_state.identity.boot_id == 0) {
        return TYF_ERR_NO_IDENTITY;
    }
    let_sample(0);
    if (request->period_ms != 0) {
        sampling.seed = request->seed;
        sampling.count = request->count;
        sampling.answers = 0;
        sampling.max_gap_us = 0;
        sampling.late = 0;
        tyf_sensor_state.replay.is_open = false;
        tyf_sensor_forget_inputs();
        let_sample(request->period_ms);
    }
    say_state(&exchange->reply);
    return TYF_SMP_OK;
}

int tyf_sensor_sampling_state(tyf_smp_exchange *exchange) {
    say_state(&exchange->reply);
    return TYF_SMP_OK;
}

#else

bool tyf_sensor_is_sampling(void) {
    return false;
}

void tyf_sensor_stop_sampling(void) {
}

void tyf_sensor_poll_sampling(void) {
}

int tyf_sensor_sample(tyf_smp_exchange *exchange) {
    (void)exchange;
    return TYF_SMP_ENOTSUP;
}

int tyf_sensor_sampling_state(tyf_smp_exchange *exchange) {
    (void)exchange;
    return TYF_SMP_ENOTSUP;
}

#endif
