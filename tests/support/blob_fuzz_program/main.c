/*
 * Damages blobs and opens them; those that open are run. Arena and blob lie at the end of memory of their own: a byte
 * past them is poisoned, pages around them are not there, and the blob cannot be written.
 *
 *     fuzz SEED ROUNDS BLOB...       prints rounds, how many opened, and how many gave each status
 */
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tyf/core/bytes.h"
#include "tyf/model/blob.h"
#include "tyf/model/seeded.h"

/* All that a kernel can reach with an offset of 32 bits lies inside this, on either side. */
#define GUARD ((size_t)1 << 32)
#define ROOM ((size_t)1 << 20)
#define ARENA_LIMIT 32768u
#define RUN_SECONDS 10u
#define STATUSES 16u

typedef struct {
    uint8_t *data;
    uint32_t bytes;
} file;

/* Exactly as many bytes as asked for, at the end of ROOM. */
typedef struct {
    uint8_t *room;
    uint8_t *data;
} fenced;

static uint64_t random_state;
static uint64_t round_seed;

static uint32_t random_u32(void) {
    random_state += 0x9E3779B97F4A7C15u;
    uint64_t z = random_state;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return (uint32_t)(z >> 32);
}

static uint32_t below(uint32_t limit) {
    return (uint32_t)((uint64_t)random_u32() * limit >> 32);
}

static void show_round(void) {
    fprintf(stderr, "round with seed %llu\n", (unsigned long long)round_seed);
}

static void too_slow(int signal_number) {
    (void)signal_number;
    fprintf(stderr, "a run did not end in time\n");
    show_round();
    __sanitizer_print_stack_trace();
    _exit(3);
}

static fenced make_fence(void) {
    uint8_t *all = mmap(NULL, 2 * GUARD + ROOM, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (all == MAP_FAILED || mprotect(all + GUARD, ROOM, PROT_READ | PROT_WRITE) != 0) {
        perror("memory");
        exit(2);
    }
    return (fenced){all + GUARD, NULL};
}

/* Room for some bytes, at most 15 before the end so that they are aligned; what is not theirs is poisoned. */
static void fence(fenced *f, uint32_t bytes) {
    ASAN_UNPOISON_MEMORY_REGION(f->room, ROOM);
    f->data = f->room + ROOM - (bytes + 15u) / 16u * 16u;
    ASAN_POISON_MEMORY_REGION(f->room, (size_t)(f->data - f->room));
    ASAN_POISON_MEMORY_REGION(f->data + bytes, (size_t)(f->room + ROOM - f->data - bytes));
}

/* Where a change is likely to matter, found in the undamaged blob: header, steps, parameters. */
static uint32_t interesting_place(const file *whole) {
    const uint8_t *blob = whole->data;
    const uint32_t steps = tyf_get_u32_le(blob + TYF_BLOB_STEPS_OFFSET);
    const uint32_t after = tyf_get_u32_le(blob + TYF_BLOB_NAME_OFFSET);
    switch (below(8)) {
    case 0:
        return below(whole->bytes);
    case 1:
        return below(TYF_BLOB_HEADER_BYTES);
    case 2:
    case 3:
        return steps + below(after - steps);
    default: {
        /* The first argument of a step is mostly its parameters; steps without arguments have no such word. */
        uint32_t at = steps;
        for (uint32_t skip = below(tyf_get_u32_le(blob + TYF_BLOB_STEP_COUNT_OFFSET)); skip > 0; skip--) {
            at += 4u + 4u * blob[at + 1] + ((blob[at + 2] & TYF_BLOB_FLAG_LAYER) != 0 ? 8u : 0u);
        }
        const uint32_t params = tyf_get_u32_le(blob + at + 4) & ~TYF_BLOB_IN_ARENA;
        return params + below(96);
    }
    }
}

static uint32_t interesting_value(const uint8_t *blob, uint32_t bytes) {
    static const uint32_t values[] = {0,          1,          2,          3,          4,          15,
                                      16,         127,        128,        255,        256,        32767,
                                      32768,      65535,      65536,      0x7FFFFFFF, 0x80000000, 0x80000001,
                                      0xFFFFFFFE, 0xFFFFFFFF, 0x40000000, 0x10000000, 46341u,     0x80000010};
    switch (below(4)) {
    case 0:
        return values[below(sizeof values / sizeof values[0])];
    case 1:
        return below(bytes + 64u);
    case 2:
        return tyf_get_u32_le(blob + 4u * below(bytes / 4u));
    default:
        return random_u32();
    }
}

/* One change; the number of bytes that are left. */
static uint32_t mutate(const file *whole, uint8_t *blob, uint32_t bytes) {
    const uint32_t at = interesting_place(whole) % bytes;
    const uint32_t word = at / 4u * 4u, half = at / 2u * 2u;
    switch (below(16)) {
    case 0:
    case 1:
    case 2:
        blob[at] ^= (uint8_t)(1u << below(8));
        return bytes;
    case 3:
    case 4:
        blob[at] = (uint8_t)random_u32();
        return bytes;
    case 5: {
        const uint32_t left = bytes - below(bytes / 4u + 1u);
        if (below(2) == 0) {
            tyf_put_u32_le(blob + TYF_BLOB_BLOB_BYTES_OFFSET, left);
        }
        return left;
    }
    case 6:
    case 7:
    case 8:
        if (half + 2u <= bytes) {
            tyf_put_u16_le(blob + half, (uint16_t)interesting_value(blob, bytes));
        }
        return bytes;
    case 9:
    case 10:
        if (half + 2u <= bytes) {
            tyf_put_u16_le(blob + half, (uint16_t)(tyf_get_u16_le(blob + half) + below(7) - 3u));
        }
        return bytes;
    case 11:
    case 12:
        if (word + 4u <= bytes) {
            tyf_put_u32_le(blob + word,
                           tyf_get_u32_le(blob + word) + (below(2) == 0 ? below(9) - 4u : 16u * (below(9) - 4u)));
        }
        return bytes;
    default:
        if (word + 4u <= bytes) {
            tyf_put_u32_le(blob + word, interesting_value(blob, bytes));
        }
        return bytes;
    }
}

/* What a program may do between layers. */
static void look_at_layer(void *context, uint32_t layer, const void *data, uint32_t bytes) {
    uint32_t *sum = context;
    *sum += layer;
    for (uint32_t i = 0; i < bytes; i++) {
        *sum += ((const uint8_t *)data)[i];
    }
}

static uint32_t run(const tyf_blob *blob, fenced *arena) {
    const tyf_model *model = &blob->model;
    uint32_t sum = 0;
    fence(arena, model->arena_bytes);
    memset(arena->data, (int)random_u32(), model->arena_bytes);
    if (model->frontend != NULL) {
        static int16_t samples[ARENA_LIMIT];
        tyf_frontend_apply(model->frontend, samples, (int8_t *)(arena->data + model->input_offset));
    }
    tyf_seeded_input(random_u32(), below(4), model->input_dtype, arena->data + model->input_offset, model->input_bytes);
    alarm(RUN_SECONDS);
    tyf_model_reset(model, arena->data);
    tyf_model_run(model, arena->data, look_at_layer, &sum);
    alarm(0);
    for (uint32_t i = 0; i < model->output_bytes; i++) {
        sum += arena->data[model->output_offset + i];
    }
    return sum + (uint32_t)strlen(model->name) + model->model_id[31];
}

static file read_file(const char *path) {
    FILE *stream = fopen(path, "rb");
    uint8_t *data = malloc(ROOM);
    if (stream == NULL || data == NULL) {
        perror(path);
        exit(2);
    }
    const uint32_t bytes = (uint32_t)fread(data, 1, ROOM, stream);
    fclose(stream);
    return (file){data, bytes};
}

int main(int argc, char **argv) {
    if (argc < 4) {
        return 2;
    }
    const uint64_t seed = strtoull(argv[1], NULL, 10), rounds = strtoull(argv[2], NULL, 10);
    const uint32_t file_count = (uint32_t)argc - 3u;
    file *files = calloc(file_count, sizeof *files);
    if (files == NULL) {
        return 2;
    }
    for (uint32_t i = 0; i < file_count; i++) {
        files[i] = read_file(argv[3 + i]);
    }
    __sanitizer_set_death_callback(show_round);
    signal(SIGALRM, too_slow);
    fenced arena = make_fence(), place = make_fence();
    uint64_t statuses[STATUSES] = {0}, intact = 0;
    volatile uint32_t sum = 0;
    for (uint64_t round = 0; round < rounds; round++) {
        round_seed = random_state = seed + round;
        const file from = files[below(file_count)];
        uint8_t *damaged = malloc(from.bytes);
        if (damaged == NULL) {
            return 2;
        }
        memcpy(damaged, from.data, from.bytes);
        uint32_t bytes = from.bytes;
        for (uint32_t changes = 1u + below(3); changes > 0 && bytes > TYF_BLOB_HEADER_BYTES; changes--) {
            bytes = mutate(&from, damaged, bytes);
        }
        if (mprotect(place.room, ROOM, PROT_READ | PROT_WRITE) != 0) {
            return 2;
        }
        fence(&place, bytes);
        memcpy(place.data, damaged, bytes);
        free(damaged);
        if (mprotect(place.room, ROOM, PROT_READ) != 0) {
            return 2;
        }
        tyf_blob blob;
        const tyf_status status = tyf_blob_open(&blob, &tyf_kernels, place.data, bytes, ARENA_LIMIT);
        statuses[-(int)status]++;
        if (status == TYF_OK) {
            intact += tyf_blob_is_intact(&blob);
            sum += run(&blob, &arena);
        }
    }
    printf("%llu %llu", (unsigned long long)rounds, (unsigned long long)intact);
    for (uint32_t i = 0; i < STATUSES; i++) {
        printf(" %llu", (unsigned long long)statuses[i]);
    }
    printf("\n");
    for (uint32_t i = 0; i < file_count; i++) {
        free(files[i].data);
    }
    free(files);
    return 0;
}
