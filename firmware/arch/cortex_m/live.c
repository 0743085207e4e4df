/* Live inference is PendSV: above thread mode, below every interrupt. The tick makes it due, and sees it hang. */
#include <stddef.h>

#include "cortex_m.h"
#include "crash.h"
#include "guard.h"
#include "stack.h"
#include "tick.h"
#include "tyf/core/assert.h"
#include "tyf/core/config.h"
#include "tyf/port/live.h"
#include "tyf/port/time.h"

#if TYF_CFG_GUARD

#define SCB_ICSR 0xe000ed04u
#define ICSR_PENDSV (1u << 28)

typedef struct {
    void (*volatile work)(void *);
    void *argument;
} live_work;

static live_work once;       /* written in thread mode; PendSV empties it */
static live_work repeated;   /* written in thread mode while the tick does not look */
static uint32_t period_ms;   /* 0: none */
static uint32_t ms_to_due;   /* the tick's */
static volatile bool is_due; /* set by the tick, taken by PendSV */
static volatile bool is_repeating;
static volatile uint32_t late;
static volatile uint32_t running_ms; /* since the work that runs began */
static uint32_t works;               /* that have ended, PendSV's, as the next one */
static uint64_t busy_us;

static void pend(void) {
    TYF_REGISTER(SCB_ICSR) = ICSR_PENDSV;
}

static void run(void (*work)(void *), void *argument) {
    const uint64_t begin_us = tyf_port_uptime_us();
    running_ms = 0;
    tyf_tick_start(TYF_TICK_LIVE);
    work(argument);
    tyf_tick_stop(TYF_TICK_LIVE);
    works++;
    busy_us += tyf_port_uptime_us() - begin_us;
}

void PendSV_Handler(void) {
    if (is_due) {
        is_repeating = true;
        is_due = false;
        run(repeated.work, repeated.argument);
        is_repeating = false;
    }
    if (once.work != NULL) {
        run(once.work, once.argument);
        once.work = NULL;
    }
}

void tyf_port_live_call(void (*work)(void *), void *argument) {
    TYF_ASSERT(tyf_cortex_m_exception() == 0);
    once.argument = argument;
    once.work = work;
    __asm volatile("" ::: "memory"); /* the exception reads what argument points to */
    pend();
    __asm volatile("dsb\n isb" ::: "memory");
    TYF_ASSERT(once.work == NULL);
}

bool tyf_port_live_every(uint32_t period, void (*work)(void *), void *argument) {
    TYF_ASSERT(tyf_cortex_m_exception() == 0);
    tyf_tick_stop(TYF_TICK_SAMPLING);
    const uint32_t masked = tyf_cortex_m_mask();
    is_due = false;
    repeated.work = work;
    repeated.argument = argument;
    period_ms = period;
    ms_to_due = period;
    late = 0;
    tyf_cortex_m_unmask(masked);
    if (period != 0) {
        tyf_tick_start(TYF_TICK_SAMPLING);
    }
    return true;
}

uint32_t tyf_port_live_late(void) {
    return late;
}

void tyf_port_live_load(tyf_live_load *load) {
    const uint32_t masked = tyf_cortex_m_mask();
    *load = (tyf_live_load){.works = works, .busy_us = busy_us};
    tyf_cortex_m_unmask(masked);
    load->stack_bytes = tyf_handler_stack_bytes();
    load->stack_used_bytes = tyf_handler_stack_used_bytes();
}

TYF_NO_FP static void make_due(void) {
    if (period_ms == 0 || --ms_to_due != 0) {
        return;
    }
    ms_to_due = period_ms;
    if (is_due || is_repeating) {
        late = late + 1u;
    } else {
        is_due = true;
        pend();
    }
}

TYF_NO_FP uint32_t tyf_guard_tick(uint32_t exc_return, uint32_t msp, uint32_t psp) {
    const int context = tyf_guard_interrupted(exc_return, msp, true);
    make_due();
    if (context < 0) {
        return 0;
    }
    tyf_guard *guard = &tyf_guards[context];
    const uint32_t *frame = (const uint32_t *)(uintptr_t)(context == TYF_CONTEXT_LIVE ? msp : psp);
    if (guard->is_active) {
        guard->ticks_left = guard->ticks_left - 1;
        if (guard->ticks_left < 0) {
            guard->outcome.pc = frame[6];
            return tyf_guard_unwind(context, TYF_GUARD_OVERRUN, exc_return);
        }
    } else if (context == TYF_CONTEXT_LIVE) {
        running_ms = running_ms + tyf_tick_ms();
        if (running_ms > TYF_CFG_LIVE_LIMIT_MS) {
            tyf_crash(&(tyf_crash_cause){.why = TYF_CRASH_WHY_HANG, .exc_return = exc_return}, frame);
        }
    }
    return 0;
}

#else

void tyf_port_live_call(void (*work)(void *), void *argument) {
    work(argument);
}

bool tyf_port_live_every(uint32_t period_ms, void (*work)(void *), void *argument) {
    (void)period_ms;
    (void)work;
    (void)argument;
    return false;
}

uint32_t tyf_port_live_late(void) {
    return 0;
}

void tyf_port_live_load(tyf_live_load *load) {
    *load = (tyf_live_load){0};
}

#endif
