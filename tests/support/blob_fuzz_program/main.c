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

#include "damage.h"
#include "tyf/model/seeded.h"

/* All that a kernel can reach with an offset of 32 bits lies inside this, on either side. */
#define GUARD ((size_t)1 << 32)
#define ROOM ((size_t)1 << 20)
#define ARENA_LIMIT 32768u
#define RUN_SECONDS 10u
#define STATUSES 16u

/* Exactly as many bytes as asked for, at the end of ROOM. */
typedef struct {
    uint8_t *room;
    uint8_t *data;
} fenced;

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
    static uint8_t damaged[ROOM];
    for (uint64_t round = 0; round < rounds; round++) {
        const uint32_t bytes = make_damaged(seed + round, files, file_count, damaged);
        if (mprotect(place.room, ROOM, PROT_READ | PROT_WRITE) != 0) {
            return 2;
        }
        fence(&place, bytes);
        memcpy(place.data, damaged, bytes);
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
        free((void *)(uintptr_t)files[i].data);
    }
    free(files);
    return 0;
}
