/* The memory that outlives a reset, for lib/crash: what a test puts there. */
#include <stddef.h>
#include <string.h>

#include "tyf/port/crash.h"

void crash_memory_put(const uint8_t *record);

static uint8_t memory[TYF_CRASH_BYTES];
static int is_there;

void crash_memory_put(const uint8_t *record) {
    is_there = record != NULL;
    if (is_there) {
        memcpy(memory, record, sizeof memory);
    }
}

const uint8_t *tyf_port_crash_record(void) {
    return is_there ? memory : NULL;
}

void tyf_port_crash_forget(void) {
    is_there = 0;
}
