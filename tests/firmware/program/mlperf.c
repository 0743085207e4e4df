#include "mlperf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "tyf/core/bytes.h"
#include "tyf/core/wire.h"
#include "tyf/mlperf/monitor.h"

#define COMMAND_BYTES 512u

static uint8_t *arena, *buffer, *said;
static uint32_t said_bytes;
static tyf_model model;
static tyf_mlperf_config config;

static void *must(void *memory) {
    if (memory == NULL) {
        abort();
    }
    return memory;
}

static void run(const tyf_model *self, uint8_t *memory, tyf_trace_fn trace, void *context) {
    (void)trace;
    (void)context;
    memmove(memory + self->output_offset, memory + self->input_offset, self->output_bytes);
    memset(memory + self->input_offset, 0x55, self->input_bytes); /* a real model overwrites its input too */
}

static void write(const uint8_t *data, uint32_t bytes) {
    memcpy(said + said_bytes, data, bytes);
    said_bytes += bytes;
}

uint32_t mlperf_start(const uint8_t *data, uint8_t *reply) {
    uint32_t input_bytes = tyf_get_u32_le(data);
    uint32_t output_bytes = tyf_get_u32_le(data + 4);
    free(arena);
    free(buffer);
    /* Exactly: the sanitizer watches their ends. */
    arena = must(malloc(input_bytes + output_bytes));
    buffer = must(malloc(TYF_MLPERF_BUFFER_BYTES(input_bytes, output_bytes)));
    model = (tyf_model){
        .name = "copy",
        .arena_bytes = input_bytes + output_bytes,
        .input_bytes = input_bytes,
        .output_offset = input_bytes,
        .output_bytes = output_bytes,
        .input_dtype = TYF_DTYPE_INT8,
        .output_dtype = TYF_DTYPE_INT8,
        .run = run,
    };
    memset(arena, 0, model.arena_bytes);
    config = (tyf_mlperf_config){
        .model = &model,
        .arena = arena,
        .buffer = buffer,
        .write = write,
        .input_scale = 0.5f,
        .input_zero_point = 3,
        .output_scale = 0.25f,
        .output_zero_point = -2,
    };
    said = reply;
    said_bytes = 0;
    tyf_mlperf_start(&config);
    return said_bytes;
}

uint32_t mlperf_take(const uint8_t *data, uint32_t bytes, uint8_t *reply) {
    said = reply;
    said_bytes = 0;
    tyf_mlperf_take(data, bytes);
    return said_bytes;
}

uint32_t mlperf_fuzz(const uint8_t *data, uint32_t bytes, uint8_t *reply) {
    static const char hello[] = "%name%";
    static const char answer[] = "m-name-dut-[tinyfleet]\r\nm-ready\r\n";
    uint32_t rounds = tyf_get_u32_le(data + 4);
    fuzz_seed(tyf_get_u32_le(data));
    for (uint32_t round = 0; round < rounds; round++) {
        uint8_t command[COMMAND_BYTES];
        uint32_t skip = fuzz_random_below(32);
        uint32_t at = 8;
        for (uint32_t i = 0; i < skip; i++) {
            at += 2u + tyf_get_u16_le(data + at);
            at = at >= bytes ? 8 : at;
        }
        uint32_t count = tyf_get_u16_le(data + at);
        memcpy(command, data + at + 2, count);
        for (uint32_t i = fuzz_random_below(4); i < 3; i++) {
            count = fuzz_mutate(command, count, sizeof command);
        }
        mlperf_take(command, count, reply);
        mlperf_take((const uint8_t *)hello, sizeof hello - 1u, reply);
        if (said_bytes < sizeof answer - 1u ||
            memcmp(reply + said_bytes - (sizeof answer - 1u), answer, sizeof answer - 1u) != 0) {
            fprintf(stderr, "no name after round %u\n", round);
            abort();
        }
    }
    tyf_put_u32_le(reply, rounds);
    return 4;
}
