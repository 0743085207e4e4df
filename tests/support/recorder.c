/* Runs a model whose kernels were compiled with -fsanitize=thread and writes down each load and store in its arena: the
 * compiler calls these hooks to find races, we want the order. */
#include <stddef.h>
#include <stdint.h>

#include "tyf/model/model.h"

static uint8_t *begin, *end;
static uint32_t *at, *log_end;

static void note(const void *address, uint32_t bytes, uint32_t is_store) {
    const uint8_t *byte = address;
    if (byte >= begin && byte < end && at < log_end) {
        *at++ = (uint32_t)(byte - begin) << 6 | bytes << 1 | is_store;
    }
}

uint32_t record(const void *model, uint8_t *arena, uint32_t bytes, uint32_t *log, uint32_t words) {
    begin = arena;
    end = arena + bytes;
    at = log;
    log_end = log + words;
    tyf_model_run(model, arena, NULL, NULL);
    end = arena;
    return (uint32_t)(at - log);
}

#define HOOKS(size)                                                                                                    \
    void __tsan_read##size(void *p) {                                                                                  \
        note(p, size, 0);                                                                                              \
    }                                                                                                                  \
    void __tsan_write##size(void *p) {                                                                                 \
        note(p, size, 1);                                                                                              \
    }                                                                                                                  \
    void __tsan_unaligned_read##size(void *p) {                                                                        \
        note(p, size, 0);                                                                                              \
    }                                                                                                                  \
    void __tsan_unaligned_write##size(void *p) {                                                                       \
        note(p, size, 1);                                                                                              \
    }
HOOKS(1)
HOOKS(2)
HOOKS(4)
HOOKS(8)
HOOKS(16)

void __tsan_read_range(void *p, size_t bytes) {
    note(p, (uint32_t)bytes, 0);
}
void __tsan_write_range(void *p, size_t bytes) {
    note(p, (uint32_t)bytes, 1);
}
void __tsan_init(void) {
}
void __tsan_func_entry(void *p) {
    (void)p;
}
void __tsan_func_exit(void) {
}

/* In place of the library's: the kernels are compiled with these names. */
void *recorded_memmove(void *to, const void *from, size_t bytes) {
    uint8_t *target = to;
    const uint8_t *source = from;
    for (size_t i = 0; i < bytes; i++) {
        const size_t k = target < source ? i : bytes - 1 - i;
        note(source + k, 1, 0);
        note(target + k, 1, 1);
        target[k] = source[k];
    }
    return to;
}

void *recorded_memcpy(void *to, const void *from, size_t bytes) {
    return recorded_memmove(to, from, bytes);
}

void *recorded_memset(void *to, int value, size_t bytes) {
    uint8_t *target = to;
    for (size_t i = 0; i < bytes; i++) {
        note(target + i, 1, 1);
        target[i] = (uint8_t)value;
    }
    return to;
}
