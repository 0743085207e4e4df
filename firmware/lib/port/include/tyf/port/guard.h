/**
 * Call code that may be bad: a fault, a hang or an overrun inside it comes back as a result, and the board goes on.
 *
 *     static TYF_GUARD_ARENA(arena, CANDIDATE_ARENA_BYTES);
 *     static void run(void *candidate) { ... }
 *
 *     const tyf_guard_sandbox sandbox = {.arena = arena, .arena_bytes = sizeof arena};
 *     tyf_guard_outcome outcome = tyf_port_run_guarded(run, &candidate, 500, &sandbox);
 *     if (outcome.result != TYF_GUARD_OK) {
 *         reject(outcome.pc);
 *     }
 *
 * The code that is called must hold nothing: nothing is undone, and what it wrote stays half written. After a fault or
 * an overrun its arena is garbage. A guarded call inside a guarded call of the same context (management, live
 * inference) is a bug.
 */
#ifndef TYF_PORT_GUARD_H
#define TYF_PORT_GUARD_H

#include <stdint.h>

#include "tyf/core/config.h"

/** How a guarded call ended. */
typedef enum {
    TYF_GUARD_OK,      /**< it returned */
    TYF_GUARD_FAULT,   /**< it faulted: a trap, a wild access, a stack that ran over, a division by zero */
    TYF_GUARD_OVERRUN, /**< it used up its budget, or held interrupts off until the watchdog noticed */
} tyf_guard_result;

/** What is known of the end; zeros when it returned. */
typedef struct {
    tyf_guard_result result;
    uint32_t pc;      /**< where it was; 0 when its stack was lost too */
    uint32_t cfsr;    /**< Cortex-M configurable fault status; 0 on ARMv6-M, which has none */
    uint32_t address; /**< of the access that failed, where the core knows it */
} tyf_guard_outcome;

/**
 * What the code may touch, on boards with a memory protection unit: program and non-volatile memory for reading, the
 * management's stack, and this. Elsewhere it is not checked. It contains accidents; it is no border against an
 * attacker.
 */
typedef struct {
    void *arena; /**< for reading and writing; begins and ends as TYF_GUARD_ARENA says, or neighbours are open too */
    uint32_t arena_bytes; /**< not on the stack */
    const void *handle;   /**< for reading as well, for example an opened model; NULL: nothing */
    uint32_t handle_bytes;
} tyf_guard_sandbox;

/** What begin and end of an arena must be multiples of, for the sandbox to end exactly there. */
#if TYF_CFG_GUARD && defined(__ARM_ARCH) && __ARM_ARCH == 7
/* A region is a power of two large, and an eighth of it is the least that can be left out. */
#define TYF_GUARD_GRANULE(bytes)                                                                                       \
    ((bytes) <= 256u       ? 32u                                                                                       \
     : (bytes) <= 512u     ? 64u                                                                                       \
     : (bytes) <= 1024u    ? 128u                                                                                      \
     : (bytes) <= 2048u    ? 256u                                                                                      \
     : (bytes) <= 4096u    ? 512u                                                                                      \
     : (bytes) <= 8192u    ? 1024u                                                                                     \
     : (bytes) <= 16384u   ? 2048u                                                                                     \
     : (bytes) <= 32768u   ? 4096u                                                                                     \
     : (bytes) <= 65536u   ? 8192u                                                                                     \
     : (bytes) <= 131072u  ? 16384u                                                                                    \
     : (bytes) <= 262144u  ? 32768u                                                                                    \
     : (bytes) <= 524288u  ? 65536u                                                                                    \
     : (bytes) <= 1048576u ? 131072u                                                                                   \
                           : 262144u)
#else
#define TYF_GUARD_GRANULE(bytes) 32u
#endif

/** Declare an arena of at least bytes (a constant, 1 .. 2 MiB) that a sandbox can end exactly at. */
#define TYF_GUARD_ARENA(name, bytes)                                                                                   \
    _Alignas(TYF_GUARD_GRANULE(bytes))                                                                                 \
        uint8_t name[((bytes) + TYF_GUARD_GRANULE(bytes) - 1u) / TYF_GUARD_GRANULE(bytes) * TYF_GUARD_GRANULE(bytes)]

/**
 * Call work(argument) under guard. In thread mode or in live inference, with interrupts on.
 *
 * @param argument   lies on the stack, in the sandbox, or in constant memory
 * @param budget_ms  time that work itself may take: what live inference and interrupts take meanwhile does not count.
 *                   Its resolution is 1 ms; give at least 3
 * @param sandbox    NULL: work may touch everything. In thread mode only
 */
tyf_guard_outcome tyf_port_run_guarded(void (*work)(void *), void *argument, uint32_t budget_ms,
                                       const tyf_guard_sandbox *sandbox);

#endif
