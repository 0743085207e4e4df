/*
 * The guard on this machine: faults are signals, and the budget is the processor time of this thread, so that it holds
 * on a busy machine too. There is no sandbox. Other systems than Linux have no such timer: there a hang hangs.
 */
#if defined(__linux__)
#define _GNU_SOURCE
#endif
#include "tyf/port/guard.h"

#include <stddef.h>

#if defined(__linux__)
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const int caught[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP};
#define CAUGHT_COUNT (sizeof caught / sizeof caught[0])

static sigjmp_buf landing;
static tyf_guard_outcome outcome;
static int overrun_signal;

static void unwind(int number, siginfo_t *info, void *context) {
    (void)context;
    outcome.result = number == overrun_signal ? TYF_GUARD_OVERRUN : TYF_GUARD_FAULT;
    if (outcome.result == TYF_GUARD_FAULT) {
        outcome.address = (uint32_t)(uintptr_t)info->si_addr;
    }
    siglongjmp(landing, 1);
}

static timer_t start_timer(uint32_t budget_ms) {
    struct sigevent event;
    memset(&event, 0, sizeof event);
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = overrun_signal;
    event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
    timer_t timer;
    (void)timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &timer);
    const struct itimerspec budget = {
        .it_value = {.tv_sec = budget_ms / 1000u, .tv_nsec = (long)(budget_ms % 1000u) * 1000000L},
    };
    (void)timer_settime(timer, 0, &budget, NULL);
    return timer;
}

tyf_guard_outcome tyf_port_run_guarded(void (*work)(void *), void *argument, uint32_t budget_ms,
                                       const tyf_guard_sandbox *sandbox) {
    (void)sandbox;
    struct sigaction before[CAUGHT_COUNT], overrun_before;
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = unwind;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    overrun_signal = SIGRTMIN + 7;
    outcome = (tyf_guard_outcome){0};
    for (size_t i = 0; i < CAUGHT_COUNT; i++) {
        (void)sigaction(caught[i], &action, &before[i]);
    }
    (void)sigaction(overrun_signal, &action, &overrun_before);
    const timer_t timer = start_timer(budget_ms);
    if (sigsetjmp(landing, 1) == 0) {
        work(argument);
    }
    (void)timer_delete(timer);
    (void)sigaction(overrun_signal, &overrun_before, NULL);
    for (size_t i = 0; i < CAUGHT_COUNT; i++) {
        (void)sigaction(caught[i], &before[i], NULL);
    }
    return outcome;
}

#else

tyf_guard_outcome tyf_port_run_guarded(void (*work)(void *), void *argument, uint32_t budget_ms,
                                       const tyf_guard_sandbox *sandbox) {
    (void)budget_ms;
    (void)sandbox;
    work(argument);
    return (tyf_guard_outcome){0};
}

#endif
