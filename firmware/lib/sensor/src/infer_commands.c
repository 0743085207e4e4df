/* SMP group 64: inference of tensors that arrive in chunks, or that the device makes from a seed. */
#include <stddef.h>
#include <string.h>

#include "sensor.h"
#include "tyf/core/bytes.h"
#include "tyf/core/sha256.h"
#include "tyf/model/seeded.h"
#include "tyf/port/live.h"
#include "tyf/port/system.h"
#include "tyf/port/time.h"

int tyf_sensor_read_output(tyf_smp_exchange *exchange) {
    const tyf_sensor *s = &tyf_sensor_state;
    const tyf_output_request *request = exchange->request;
    const uint32_t off = request->off;
    const tyf_live_model *live = s->live;
    if (!s->tensor.has_output || tyf_sensor_is_sampling()) {
        return TYF_ERR_STATE;
    }
    if (off > live->model->output_bytes) {
        return TYF_ERR_ARG;
    }
    tyf_cbor_add_uint(&exchange->reply, "off", off);
    tyf_cbor_add_uint(&exchange->reply, "len", live->model->output_bytes);
    const uint32_t left = live->model->output_bytes - off;
    const uint32_t room = tyf_cbor_room_for_bytes(&exchange->reply, "data", 1);
    tyf_cbor_add_bytes(&exchange->reply, "data", live->arena + live->model->output_offset + off,
                       left < room ? left : room);
    return TYF_SMP_OK;
}

static void answer_tensor(void *context) {
    (void)context;
    (void)tyf_sensor_infer(tyf_sensor_state.live, NULL, NULL);
}

int tyf_sensor_infer_chunk(tyf_smp_exchange *exchange) {
    tyf_sensor *s = &tyf_sensor_state;
    const tyf_live_model *live = s->live;
    const uint32_t total = live->model->input_bytes;
    const tyf_infer_request *request = exchange->request;
    const uint32_t off = request->off;
    const tyf_cbor_string data = request->data;
    if (tyf_sensor_is_sampling()) {
        return TYF_ERR_STATE; /* the input would lie in the arena that the sensor's answers use */
    }
    if (request->reset) {
        tyf_sensor_forget_inputs();
    }
    if (off == 0) {
        s->tensor.held = 0;
        s->tensor.has_output = false;
    }
    if (off == s->tensor.held && !(off != 0 && s->tensor.has_output)) {
        if (data.bytes > total - off) {
            return TYF_ERR_ARG;
        }
        memcpy(live->arena + live->model->input_offset + off, data.data, data.bytes);
        s->tensor.held += data.bytes;
        s->tensor.has_output = false;
        if (s->tensor.held == total) {
            tyf_port_live_call(answer_tensor, NULL);
            s->tensor.held = total; /* a repeated last chunk finds the answer */
        }
    }
    tyf_cbor_add_uint(&exchange->reply, "off", s->tensor.held);
    if (s->tensor.held == total && s->tensor.has_output) {
        tyf_cbor_add_uint(&exchange->reply, "out_bytes", live->model->output_bytes);
    }
    return TYF_SMP_OK;
}

static void hash_bytes(const void *data, uint32_t bytes, uint8_t *out) {
    uint8_t digest[TYF_SHA256_BYTES];
    tyf_sha256 hash;
    tyf_sha256_init(&hash);
    tyf_sha256_update(&hash, data, bytes);
    tyf_sha256_final(&hash, digest);
    memcpy(out, digest, TYF_TENSOR_HASH_BYTES);
}

static void make_input(const tyf_live_model *live, uint32_t seed, uint32_t case_index) {
    tyf_seeded_input(seed, case_index, live->model->input_dtype, live->arena + live->model->input_offset,
                     live->model->input_bytes);
}

/* A streaming model remembers inputs: those of two streams must not mix. */
static bool would_mix_streams(void) {
    return tyf_sensor_is_sampling() && tyf_sensor_state.live->model->reset != NULL;
}

/* In a reply each layer takes a hash and the u32 of its instructions; the second key with its head takes the rest. */
#define LAYER_BYTES (TYF_TENSOR_HASH_BYTES + 4u)
#define INSTRUCTIONS_KEY_BYTES 20u

static uint8_t layer_instructions[TYF_SMP_MESSAGE_BYTES / LAYER_BYTES][4];

/* Where the hashes of layers go. */
typedef struct {
    uint8_t *out;
    uint32_t from, room; /* first layer wanted, and how many fit */
    uint32_t count;
    uint64_t since; /* ticks when the layer began */
    const tyf_self_infer_request *request;
} layer_hashes;

static void hash_layer(void *context, uint32_t layer, const void *data, uint32_t bytes) {
    layer_hashes *hashes = context;
    const uint64_t instructions = tyf_port_instructions(tyf_port_ticks() - hashes->since);
    if (layer >= hashes->from && hashes->count < hashes->room) {
        hash_bytes(data, bytes, hashes->out + hashes->count * TYF_TENSOR_HASH_BYTES);
        tyf_put_u32_le(layer_instructions[hashes->count], (uint32_t)instructions);
        hashes->count++;
    }
    hashes->since = tyf_port_ticks();
}

static void answer_traced(void *context) {
    layer_hashes *hashes = context;
    const tyf_live_model *live = tyf_sensor_state.live;
    tyf_model_reset(live->model, live->arena);
    make_input(live, hashes->request->seed, hashes->request->first);
    hashes->since = tyf_port_ticks();
    (void)tyf_sensor_infer(live, hash_layer, hashes);
}

/* Hashes of the layers of one case, from a given layer on. */
static int self_infer_layers(tyf_smp_exchange *exchange) {
    const tyf_self_infer_request *request = exchange->request;
    const uint32_t from = request->from;
    tyf_cbor_add_uint(&exchange->reply, "from", from);
    const uint32_t room = tyf_cbor_room_for_bytes(&exchange->reply, "hashes", INSTRUCTIONS_KEY_BYTES) / LAYER_BYTES;
    layer_hashes hashes = {.from = from, .room = room, .request = request};
    hashes.out = tyf_cbor_open_bytes(&exchange->reply, "hashes", room * TYF_TENSOR_HASH_BYTES);
    if (hashes.out == NULL) {
        return TYF_ERR_TOO_LARGE;
    }
    tyf_port_live_call(answer_traced, &hashes);
    tyf_cbor_close_bytes(&exchange->reply, hashes.count * TYF_TENSOR_HASH_BYTES);
    tyf_cbor_add_bytes(&exchange->reply, "instructions", layer_instructions,
                       hashes.count * sizeof layer_instructions[0]);
    return TYF_SMP_OK;
}

/* One case: what to run, and where the hash of its output goes. */
typedef struct {
    uint32_t seed, case_index;
    uint8_t *out;
} seeded_case;

static void answer_seeded(void *context) {
    const seeded_case *asked = context;
    const tyf_live_model *live = tyf_sensor_state.live;
    make_input(live, asked->seed, asked->case_index);
    (void)tyf_sensor_infer(live, NULL, NULL);
    hash_bytes(live->arena + live->model->output_offset, live->model->output_bytes, asked->out);
}

int tyf_sensor_self_infer(tyf_smp_exchange *exchange) {
    const tyf_self_infer_request *request = exchange->request;
    if (would_mix_streams()) {
        return TYF_ERR_STATE;
    }
    if (request->layers) {
        return self_infer_layers(exchange);
    }
    const uint32_t count = request->count == 0 ? 1u : request->count;
    const uint32_t room = tyf_cbor_room_for_bytes(&exchange->reply, "hashes", 1) / TYF_TENSOR_HASH_BYTES;
    const uint32_t most = count < room ? count : room;
    uint8_t *out = tyf_cbor_open_bytes(&exchange->reply, "hashes", most * TYF_TENSOR_HASH_BYTES);
    if (out == NULL) {
        return TYF_ERR_TOO_LARGE;
    }
    if (!request->keep) {
        tyf_sensor_forget_inputs();
    }
    const uint64_t start_us = tyf_port_uptime_us();
    uint32_t done = 0;
    while (done < most && (done == 0 || tyf_port_uptime_us() - start_us < TYF_CFG_SELF_INFER_MS * UINT64_C(1000))) {
        seeded_case asked = {request->seed, request->first + done, out + done * TYF_TENSOR_HASH_BYTES};
        tyf_port_live_call(answer_seeded, &asked);
        tyf_port_watchdog_feed(); /* a long proof must not look like a hang */
        done++;
    }
    tyf_cbor_close_bytes(&exchange->reply, done * TYF_TENSOR_HASH_BYTES);
    return TYF_SMP_OK;
}
