#include "mpu.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cortex_m.h"

#if TYF_CFG_GUARD && __ARM_ARCH >= 7

#define MPU_CTRL 0xe000ed94u
#define MPU_RNR 0xe000ed98u
#define MPU_RBAR 0xe000ed9cu
#define MPU_RASR 0xe000eda0u  /* ARMv7-M */
#define MPU_RLAR 0xe000eda0u  /* ARMv8-M */
#define MPU_MAIR0 0xe000edc0u /* ARMv8-M */

#define CTRL_ON 5u /* enabled, with the default map below for privileged code; off in HardFault and NMI */

extern uint32_t tyf_stack_begin[], tyf_stack_end[], tyf_handler_stack_begin[];

#define ORIGIN(memory) ((uint32_t)TYF_BOARD_MEMORY_##memory##_ORIGIN)
#define BYTES(memory) ((uint32_t)TYF_BOARD_MEMORY_##memory##_BYTES)

/* Whether NVM is a part of the flash that the program lies in. */
#define NVM_IN_FLASH                                                                                                   \
    (TYF_BOARD_NVM_BASE >= TYF_BOARD_MEMORY_FLASH_ORIGIN &&                                                            \
     TYF_BOARD_NVM_BASE < TYF_BOARD_MEMORY_FLASH_ORIGIN + TYF_BOARD_MEMORY_FLASH_BYTES)

static uint32_t address_of(const void *object) {
    return (uint32_t)(uintptr_t)object;
}

static void barrier(void) {
    __asm volatile("dsb\n isb" ::: "memory");
}

#if __ARM_ARCH >= 8

enum { CODE, NVM, STACK, ARENA, HANDLE, REGIONS }; /* they must not overlap */

typedef enum { RW_PRIVILEGED = 0, RW_ANY = 1, RO_ANY = 3 } access;

#define GRANULE 32u

/* [begin, end), rounded outwards. */
static void set_region(uint32_t number, uint32_t begin, uint32_t end, access who, bool is_code) {
    TYF_REGISTER(MPU_RNR) = number;
    TYF_REGISTER(MPU_RLAR) = 0;
    if (begin != end) {
        TYF_REGISTER(MPU_RBAR) = (begin & ~(GRANULE - 1u)) | (uint32_t)who << 1 | !is_code;
        TYF_REGISTER(MPU_RLAR) = ((end - 1u) & ~(GRANULE - 1u)) | 1u;
    }
}

static void set_code(access who) {
    set_region(CODE, ORIGIN(FLASH), ORIGIN(FLASH) + BYTES(FLASH), who, true);
}

static void set_nvm(access who) {
    if (NVM_IN_FLASH) {
        set_code(who);
    } else {
        set_region(NVM, TYF_BOARD_NVM_BASE, TYF_BOARD_NVM_BASE + TYF_BOARD_NVM_BYTES, who, true);
    }
    barrier();
}

void tyf_mpu_start(void) {
    TYF_REGISTER(MPU_MAIR0) = 0xff; /* normal memory */
    for (uint32_t i = 0; i < REGIONS; i++) {
        set_region(i, 0, 0, RO_ANY, false);
    }
    set_code(RO_ANY);
    set_nvm(RO_ANY);
    set_region(STACK, address_of(tyf_stack_begin), address_of(tyf_stack_end), RW_ANY, false);
    /* A frame that does not fit is not written at all: no region is needed below. */
    __asm volatile("msr psplim, %0\n msr msplim, %1" ::"r"(tyf_stack_begin), "r"(tyf_handler_stack_begin));
    TYF_REGISTER(MPU_CTRL) = CTRL_ON;
    barrier();
}

void tyf_mpu_open_sandbox(const tyf_guard_sandbox *sandbox) {
    const uint32_t arena = address_of(sandbox->arena);
    const uint32_t handle = address_of(sandbox->handle);
    set_region(ARENA, arena, arena + sandbox->arena_bytes, RW_ANY, false);
    set_region(HANDLE, handle, sandbox->handle != NULL ? handle + sandbox->handle_bytes : handle, RO_ANY, false);
    barrier();
}

void tyf_mpu_close_sandbox(void) {
    set_region(ARENA, 0, 0, RO_ANY, false);
    set_region(HANDLE, 0, 0, RO_ANY, false);
    barrier();
}

void tyf_cortex_m_nvm_open(void) {
    set_nvm(RW_PRIVILEGED);
}

void tyf_cortex_m_nvm_close(void) {
    set_nvm(RO_ANY);
}

#else

enum { CODE, NVM, RAM, STACK, ARENA_0, ARENA_1, STACK_GUARD, HANDLER_STACK_GUARD, REGIONS }; /* a later one wins */

typedef enum { NONE = 0, RW_PRIVILEGED = 1, RO_UNPRIVILEGED = 2, RW_ANY = 3, RO_ANY = 6 } access;

#define SUBREGIONS 8u
#define LEAST_REGION_BYTES 256u

/* bytes: a power of two, 32 at least; begin: a multiple of it. left_out: a bit for each eighth, of 256 bytes at least.
 */
static void set_region(uint32_t number, uint32_t begin, uint32_t bytes, access who, bool is_code, uint32_t left_out) {
    TYF_REGISTER(MPU_RNR) = number;
    TYF_REGISTER(MPU_RASR) = 0;
    if (bytes != 0) {
        TYF_REGISTER(MPU_RBAR) = begin;
        TYF_REGISTER(MPU_RASR) = (is_code ? 0u : 1u << 28) | (uint32_t)who << 24 | 1u << 17 /* cacheable */ |
                                 left_out << 8 | (30u - (uint32_t)__builtin_clz(bytes)) << 1 | 1u;
    }
}

/* The least power of two, LEAST_REGION_BYTES at least, that is not below bytes. */
static uint32_t power_of_two(uint32_t bytes) {
    uint32_t power = LEAST_REGION_BYTES;
    while (power < bytes) {
        power <<= 1;
    }
    return power;
}

static void set_memory(uint32_t number, uint32_t begin, uint32_t bytes, access who, bool is_code) {
    set_region(number, begin, power_of_two(bytes), who, is_code, 0);
}

/* Eighths of the region at base that lie outside of [begin, end). */
static uint32_t outside(uint32_t base, uint32_t eighth, uint32_t begin, uint32_t end) {
    uint32_t mask = 0;
    for (uint32_t i = 0; i < SUBREGIONS; i++) {
        const uint32_t at = base + i * eighth;
        if (at + eighth <= begin || at >= end) {
            mask |= 1u << i;
        }
    }
    return mask;
}

/* A range of any begin lies within two neighbouring regions that are each as large as it is, rounded up. */
static void set_arena(uint32_t begin, uint32_t bytes) {
    const uint32_t region = power_of_two(bytes);
    const uint32_t base = begin & ~(region - 1u);
    for (uint32_t i = 0; i < 2; i++) {
        const uint32_t at = base + i * region;
        const uint32_t left_out = outside(at, region / SUBREGIONS, begin, begin + bytes);
        set_region(ARENA_0 + i, at, left_out == 0xffu ? 0 : region, RW_ANY, false, left_out);
    }
}

static void set_nvm(access who) {
    if (!NVM_IN_FLASH) {
        set_memory(NVM, TYF_BOARD_NVM_BASE, TYF_BOARD_NVM_BYTES, who, true);
        barrier();
    }
}

void tyf_mpu_start(void) {
    for (uint32_t i = 0; i < REGIONS; i++) {
        set_region(i, 0, 0, NONE, false, 0);
    }
    /* The driver of a flash that the program lies in writes to it: there it stays open to privileged code. */
    set_memory(CODE, ORIGIN(FLASH), BYTES(FLASH), NVM_IN_FLASH ? RO_UNPRIVILEGED : RO_ANY, true);
    set_nvm(RO_ANY);
    set_memory(RAM, ORIGIN(RAM), BYTES(RAM), RO_UNPRIVILEGED, false);
    set_memory(STACK, address_of(tyf_stack_begin), address_of(tyf_stack_end) - address_of(tyf_stack_begin), RW_ANY,
               false);
    set_region(STACK_GUARD, address_of(tyf_stack_begin), TYF_STACK_GUARD_BYTES, NONE, false, 0);
    set_region(HANDLER_STACK_GUARD, address_of(tyf_handler_stack_begin), TYF_STACK_GUARD_BYTES, NONE, false, 0);
    TYF_REGISTER(MPU_CTRL) = CTRL_ON;
    barrier();
}

void tyf_mpu_open_sandbox(const tyf_guard_sandbox *sandbox) {
    set_arena(address_of(sandbox->arena), sandbox->arena_bytes); /* the handle can be read: all RAM can */
    barrier();
}

void tyf_mpu_close_sandbox(void) {
    set_region(ARENA_0, 0, 0, NONE, false, 0);
    set_region(ARENA_1, 0, 0, NONE, false, 0);
    barrier();
}

void tyf_cortex_m_nvm_open(void) {
    set_nvm(RW_PRIVILEGED);
}

void tyf_cortex_m_nvm_close(void) {
    set_nvm(RO_ANY);
}

#endif

#else

void tyf_mpu_start(void) {
}

void tyf_mpu_open_sandbox(const tyf_guard_sandbox *sandbox) {
    (void)sandbox;
}

void tyf_mpu_close_sandbox(void) {
}

void tyf_cortex_m_nvm_open(void) {
}

void tyf_cortex_m_nvm_close(void) {
}

#endif
