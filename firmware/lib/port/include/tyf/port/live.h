/**
 * Live inference, above management and below interrupts: whatever management does, an answer does not wait for it.
 *
 *     static void answer(void *context) { ... }         // runs to its end; never waits
 *
 *     tyf_port_live_every(10, answer, &sensor);         // from now on, every 10 ms
 *     tyf_port_live_call(answer, &sensor);              // once, now; done when it returns
 *
 * Works run one at a time, each to its end. What they share with management is safe where management is the only writer
 * of one aligned word, or reads a ring as tyf/telemetry/ring.h does. A work that takes longer than
 * TYF_CFG_LIVE_LIMIT_MS hangs: the board records a crash and resets.
 *
 * With TYF_CFG_GUARD 0 and on the host board a call is a call.
 */
#ifndef TYF_PORT_LIVE_H
#define TYF_PORT_LIVE_H

#include <stdbool.h>
#include <stdint.h>

/** Run work as live inference and return when it is done. In thread mode only, with interrupts on. */
void tyf_port_live_call(void (*work)(void *), void *argument);

/**
 * Run work again and again until told otherwise. In thread mode only.
 *
 * @param period_ms  0: no more; else 1 .. 60000. When an answer takes longer than that, the ones that are due meanwhile
 * are left out and counted
 * @return whether this board can (TYF_CFG_GUARD)
 */
bool tyf_port_live_every(uint32_t period_ms, void (*work)(void *), void *argument);

/** Answers that were due while the one before still ran, since tyf_port_live_every() was last called. */
uint32_t tyf_port_live_late(void);

/** What live inference has taken since boot. */
typedef struct {
    uint32_t works;
    uint64_t busy_us;
    uint32_t stack_bytes;      /**< of the stack that it shares with interrupts; 0: it has none of its own */
    uint32_t stack_used_bytes; /**< most that was ever in use */
} tyf_live_load;

/** In thread mode only. */
void tyf_port_live_load(tyf_live_load *load);

#endif
