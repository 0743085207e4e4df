#include "crash.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "cortex_m.h"
#include "guard.h"
#include "mpu.h"
#include "tyf/core/config.h"
#include "tyf/core/crc.h"
#include "tyf/core/sha256.h"
#include "tyf/port/system.h"
#include "tyf/port/time.h"

#if TYF_CFG_GUARD

#define FPU_FPCCR 0xe000ef34u
#define FPCCR_LAZY_ACTIVE 1u
#define EXC_RETURN_THREAD 8u
#define EXC_RETURN_NO_FP 16u
#define FRAME_WORDS 8u
#define FP_FRAME_WORDS 26u
#define PSR_WAS_ALIGNED (1u << 9)

extern const uint8_t tyf_vectors[], tyf_image_end[];
extern uint32_t tyf_stack_begin[], tyf_handler_stack_begin[], tyf_handler_stack_end[];

typedef struct {
    uint32_t magic;
    uint16_t version, record_bytes;
    uint32_t why, exception, context, cfsr, pc, lr, sp, address, resets, model_generation;
    uint32_t uptime_us[2];
    uint8_t model_id[32];
    uint8_t firmware_hash[8];
    uint32_t stack[TYF_CRASH_STACK_WORDS];
    uint32_t crc;
} crash_record;
_Static_assert(sizeof(crash_record) == TYF_CRASH_BYTES, "docs/spec/crash.md");
_Static_assert(offsetof(crash_record, sp) == TYF_CRASH_SP_OFFSET, "docs/spec/crash.md");
_Static_assert(offsetof(crash_record, model_id) == TYF_CRASH_MODEL_ID_OFFSET, "docs/spec/crash.md");
_Static_assert(offsetof(crash_record, crc) == TYF_CRASH_CRC_OFFSET, "docs/spec/crash.md");

/* RAM after power-on is arbitrary: a record counts only with its checksum, and only until it was forgotten. */
static struct {
    crash_record record;
    uint32_t forgotten; /* checksum of the record that was */
} kept __attribute__((section(".noinit")));

static const uint8_t *live_model_id;
static uint32_t live_model_generation;
static volatile bool is_crashing;

static uint32_t checksum(void) {
    return tyf_crc32(0, &kept.record, offsetof(crash_record, crc));
}

static void seal(void) {
    kept.record.crc = checksum();
    kept.forgotten = ~kept.record.crc;
    __asm volatile("dsb" ::: "memory");
}

/* What needs more stack, or might fault again: the record is sealed before, and again after each step. */
_Noreturn static void finish(void) {
    tyf_sha256 hash;
    uint8_t digest[TYF_SHA256_BYTES];
    if (live_model_id != NULL) {
        memcpy(kept.record.model_id, live_model_id, sizeof kept.record.model_id);
        seal();
    }
    tyf_sha256_init(&hash);
    tyf_sha256_update(&hash, tyf_vectors, (size_t)((uintptr_t)tyf_image_end - (uintptr_t)tyf_vectors));
    tyf_sha256_final(&hash, digest);
    memcpy(kept.record.firmware_hash, digest, sizeof kept.record.firmware_hash);
    seal();
    tyf_port_reset();
    __builtin_unreachable();
}

/* Whether nothing may touch it: below each stack. */
static bool is_no_mans(uint32_t address) {
    return address - (uint32_t)(uintptr_t)tyf_stack_begin < TYF_STACK_GUARD_BYTES ||
           address - (uint32_t)(uintptr_t)tyf_handler_stack_begin < TYF_STACK_GUARD_BYTES;
}

static void keep_stack(uint32_t sp) {
    const uint32_t begin = (uint32_t)(uintptr_t)tyf_stack_begin;
    const uint32_t end = (uint32_t)(uintptr_t)tyf_handler_stack_end;
    if (is_no_mans(sp)) {
        sp += TYF_STACK_GUARD_BYTES; /* of what ran over, what is left */
    }
    for (uint32_t i = 0; i < TYF_CRASH_STACK_WORDS; i++) {
        const uint32_t at = sp + 4u * i;
        if (at >= begin && at < end && at % 4u == 0 && !is_no_mans(at)) {
            kept.record.stack[i] = *(const volatile uint32_t *)(uintptr_t)at;
        }
    }
}

_Noreturn void tyf_crash(const tyf_crash_cause *cause, const uint32_t *frame) {
    if (is_crashing) {
        tyf_port_reset();
    }
    is_crashing = true;
#if defined(__ARM_FP)
    /* Or the first floating-point instruction writes registers to a stack that may be the broken one. */
    TYF_REGISTER(FPU_FPCCR) &= ~FPCCR_LAZY_ACTIVE;
#endif
    crash_record *record = &kept.record;
    memset(record, 0, sizeof *record);
    record->magic = TYF_CRASH_MAGIC;
    record->version = TYF_CRASH_VERSION;
    record->record_bytes = TYF_CRASH_BYTES;
    record->why = (uint32_t)cause->why;
    record->exception = tyf_cortex_m_exception();
    record->context = cause->exc_return & EXC_RETURN_THREAD ? TYF_CRASH_CONTEXT_THREAD : TYF_CRASH_CONTEXT_UNKNOWN;
    record->cfsr = cause->cfsr;
    record->address = cause->address;
    record->resets = tyf_port_resets();
    record->model_generation = live_model_generation;
    const uint64_t uptime_us = tyf_port_uptime_us();
    record->uptime_us[0] = (uint32_t)uptime_us;
    record->uptime_us[1] = (uint32_t)(uptime_us >> 32);
    if (frame != NULL) {
        const uint32_t words = cause->exc_return & EXC_RETURN_NO_FP ? FRAME_WORDS : FP_FRAME_WORDS;
        record->lr = frame[5];
        record->pc = frame[6];
        record->context = frame[7] & 0x1ffu;
        record->sp = (uint32_t)(uintptr_t)(frame + words) + (frame[7] & PSR_WAS_ALIGNED ? 4u : 0u);
    } else {
        record->sp = cause->sp;
    }
    seal();
    keep_stack(record->sp);
    seal();
    __asm volatile("msr msp, %0\n bx %1" ::"r"(tyf_handler_stack_end), "r"(finish) : "memory");
    __builtin_unreachable();
}

void tyf_port_crash_names_model(const uint8_t *model_id, uint32_t generation) {
    live_model_id = NULL; /* never the new id with the old generation */
    live_model_generation = generation;
    live_model_id = model_id;
}

static bool is_intact(void) {
    const crash_record *record = &kept.record;
    return record->magic == TYF_CRASH_MAGIC && record->version == TYF_CRASH_VERSION &&
           record->record_bytes == TYF_CRASH_BYTES && record->crc == checksum();
}

const uint8_t *tyf_port_crash_record(void) {
    return is_intact() && kept.forgotten != kept.record.crc ? (const uint8_t *)&kept.record : NULL;
}

void tyf_port_crash_forget(void) {
    kept.forgotten = kept.record.crc;
}

bool tyf_port_last_fault(tyf_port_fault *fault) {
    *fault = (tyf_port_fault){0};
    if (!is_intact()) {
        return false;
    }
    fault->pc = kept.record.pc;
    fault->lr = kept.record.lr;
    fault->cfsr = kept.record.cfsr;
    return true;
}

#else

void tyf_port_crash_names_model(const uint8_t *model_id, uint32_t generation) {
    (void)model_id;
    (void)generation;
}

const uint8_t *tyf_port_crash_record(void) {
    return NULL;
}

void tyf_port_crash_forget(void) {
}

#endif
