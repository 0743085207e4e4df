#include "candidates.h"

#include <stddef.h>

#include "cortex_m.h"
#include "tyf/core/assert.h"

#define HAS_FAULTS (__ARM_ARCH >= 7) /* ARMv6-M: no division, no memory protection */

#if defined(__ARM_FP)
#define USE_FP()                                                                                                       \
    __asm volatile("vmov.f32 s0, #1.0\n vmov.f32 s15, s0\n vmov.f32 s16, #2.0\n vmov.f32 s31, #3.0\n" ::: "memory")
#else
#define USE_FP() (void)0
#endif

#define TEXT(name, result) #name,
const char *const candidate_names[CANDIDATE_COUNT] = {CANDIDATES(TEXT)};
#undef TEXT

static TYF_GUARD_ARENA(arena, 3000);
static _Alignas(32) uint8_t handle[64];
static volatile uint32_t live_state = 0x11ce11ce; /* stands for what belongs to live inference */

uint32_t burn(uint32_t rounds, uint32_t seed) {
    __asm volatile("1: adds %0, %0, %1\n eors %0, %1\n nop\n subs %1, #1\n bne 1b" : "+l"(seed), "+l"(rounds)::"cc");
    return seed;
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Winfinite-recursion"
__attribute__((noinline)) uint32_t candidate_recurse(uint32_t depth) {
    volatile uint32_t frame[32];
    frame[depth % 32u] = depth;
    return candidate_recurse(depth + 1u) + frame[depth % 32u];
}
#pragma GCC diagnostic pop

bool candidate_applies(candidate kind, bool is_live, bool is_sandboxed) {
    switch (kind) {
    case CANDIDATE_WRITE_WILD:
    case CANDIDATE_WRITE_BELOW_ARENA:
    case CANDIDATE_WRITE_ABOVE_ARENA:
    case CANDIDATE_WRITE_HANDLE:
    case CANDIDATE_WRITE_DEVICE:
        return is_sandboxed;
    case CANDIDATE_NVM_WRITE:
        return HAS_FAULTS;
    case CANDIDATE_DIVISION_BY_ZERO:
        return HAS_FAULTS;
    case CANDIDATE_PREDICATED_FAULT:
#if defined(__ARM_FEATURE_MVE)
        return true;
#else
        return false;
#endif
    case CANDIDATE_BUS:
#if defined(TYF_BOARD_SYSTEM_COUNTER_CONTROL_BASE)
        return false; /* this machine answers at every address */
#else
        return true;
#endif
    case CANDIDATE_STACK_OVERFLOW: /* in live inference the stack is that of the handlers: a crash */
        return !is_live;
    case CANDIDATE_FP_AND_STACK_OVERFLOW:
    case CANDIDATE_SP_BAD:
        return !is_live && HAS_FAULTS;
    case CANDIDATE_LONG_BUT_IN_TIME:
    case CANDIDATE_OVERRUN:
        return !is_live;
    case CANDIDATE_MASKED_AND_HANG: /* in the sandbox interrupts cannot be masked: it is a hang */
        return !is_live && is_sandboxed;
    default:
        return true;
    }
}

tyf_guard_result candidate_result(candidate kind) {
#define RESULT(name, result) TYF_GUARD_##result,
    static const uint8_t results[CANDIDATE_COUNT] = {CANDIDATES(RESULT)};
#undef RESULT
    return (tyf_guard_result)results[kind];
}

static void touch_edges(void) {
    *(volatile uint8_t *)arena = 1;
    *(volatile uint8_t *)(arena + sizeof arena - 1u) = *(const volatile uint8_t *)handle;
}

static void ruin_registers(void) {
    USE_FP();
#if __ARM_ARCH >= 7
    __asm volatile("mov r4, #0\n mov r5, r4\n mov r6, r4\n mov r7, r4\n mov r8, r4\n mov r9, r4\n mov r10, r4\n"
                   "mov r11, r4\n cmp r4, #0\n ittt eq\n moveq r0, #1\n udfeq #1\n moveq r0, #2" ::
                       : "r0", "memory");
#else
    __asm volatile(
        "movs r4, #0\n mov r5, r4\n mov r6, r4\n mov r8, r4\n mov r9, r4\n mov r10, r4\n mov r11, r4\n udf #1" ::
            : "memory");
#endif
}

static void work(void *argument) {
    switch (*(const volatile candidate *)argument) {
    case CANDIDATE_RETURNS:
        (void)burn(500, 1);
        break;
    case CANDIDATE_LONG_BUT_IN_TIME:
        (void)burn(90000, 1); /* 28.8 ms */
        break;
    case CANDIDATE_ARENA_TO_ITS_EDGES:
        touch_edges();
        break;
    case CANDIDATE_UDF:
        (void)burn(500, 1);
        __asm volatile("udf #0");
        break;
    case CANDIDATE_BUS:
        (void)TYF_REGISTER(0xdfff0000u);
        break;
    case CANDIDATE_THUMB_STATE:
        __asm volatile("movs r0, #0\n bx r0" ::: "r0");
        break;
    case CANDIDATE_REGISTERS_AND_UDF:
        ruin_registers();
        break;
    case CANDIDATE_DIVISION_BY_ZERO: {
        volatile int one = 1, zero = 0;
        one = one / zero;
        break;
    }
    case CANDIDATE_NVM_WRITE:
#if HAS_FAULTS
        TYF_REGISTER(TYF_BOARD_NVM_BASE + 0x400u) = 1;
#endif
        break;
    case CANDIDATE_FP_AND_STACK_OVERFLOW:
        USE_FP();
        (void)candidate_recurse(0);
        break;
    case CANDIDATE_STACK_OVERFLOW:
        (void)candidate_recurse(0);
        break;
    case CANDIDATE_SP_BAD:
        __asm volatile("movs r0, #15\n mvns r0, r0\n mov sp, r0\n udf #0");
        break;
    case CANDIDATE_MASKED_AND_UDF:
        __asm volatile("cpsid i\n udf #0");
        break;
    case CANDIDATE_SUPERVISOR_CALL:
        __asm volatile("svc #0");
        break;
    case CANDIDATE_PREDICATED_FAULT:
#if defined(__ARM_FEATURE_MVE)
        __asm volatile("movw r0, #0xffff\n vmsr p0, r0\n vpstt\n vstrwt.u32 q0, [%0]\n vstrwt.u32 q0, [%0]\n" ::"r"(
                           TYF_BOARD_NVM_BASE + 0x400u)
                       : "r0", "memory");
#endif
        __asm volatile("udf #0");
        break;
    case CANDIDATE_WRITE_WILD:
        (void)burn(40000, 1); /* 12.8 ms: live inference has had its turn */
        live_state = 0;
        break;
    case CANDIDATE_WRITE_BELOW_ARENA:
        *(volatile uint8_t *)((uintptr_t)arena - 1u) = 1;
        break;
    case CANDIDATE_WRITE_ABOVE_ARENA:
        *(volatile uint8_t *)((uintptr_t)arena + sizeof arena) = 1;
        break;
    case CANDIDATE_WRITE_HANDLE:
        *(volatile uint8_t *)handle = 1;
        break;
    case CANDIDATE_WRITE_DEVICE:
        TYF_REGISTER(TYF_BOARD_UART_BASE) = 0;
        break;
    case CANDIDATE_FP_AND_HANG:
        USE_FP();
        __asm volatile("1: b 1b");
        break;
    case CANDIDATE_HANG:
        __asm volatile("1: b 1b");
        break;
    case CANDIDATE_OVERRUN:
        (void)burn(40000000, 1);
        break;
    case CANDIDATE_MASKED_AND_HANG:
        __asm volatile("cpsid i\n 1: b 1b");
        break;
    default:
        TYF_ASSERT(false);
    }
}

tyf_guard_outcome candidate_run(candidate kind, bool is_sandboxed) {
    const tyf_guard_sandbox sandbox = {
        .arena = arena, .arena_bytes = sizeof arena, .handle = handle, .handle_bytes = sizeof handle};
    const bool is_hang = candidate_result(kind) == TYF_GUARD_OVERRUN;
    const uint32_t budget_ms = kind == CANDIDATE_LONG_BUT_IN_TIME ? 32u : is_hang ? 3u : 1000u;
    const tyf_guard_outcome outcome = tyf_port_run_guarded(work, &kind, budget_ms, is_sandboxed ? &sandbox : NULL);
    TYF_ASSERT(live_state == 0x11ce11ceu);
    return outcome;
}
