/*
 * The guard, live inference and crashes on a board. The host sends a letter, the board answers with lines of words and
 * ends them with an empty one. What each letter does stands at its case.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "candidates.h"
#include "cortex_m.h"
#include "tyf/core/assert.h"
#include "tyf/core/config.h"
#include "tyf/port/crash.h"
#include "tyf/port/live.h"
#include "tyf/port/system.h"
#include "tyf/port/time.h"
#include "tyf/port/uart.h"

#define PERIOD_MS 10u
#define ANSWER_ROUNDS 7500u /* 37500 instructions, 2.4 ms: a quarter of the time */
#define SHORT_ANSWER_ROUNDS 300u
#define NVIC_ISPR 0xe000e200u
#define NVIC_ISER 0xe000e100u
#define NVIC_IABR 0xe000e300u
#define SCB_ICSR 0xe000ed04u
#define SCB_SHCSR 0xe000ed24u
#define SHCSR_ACTIVE_OR_PENDED 0xfdbfu
#define FREE_IRQ 22u /* its entry in the vector table is 0 */

volatile uint32_t guard_damaged; /* see canary.S */

static volatile struct {
    uint32_t answers, wrong, expected;
    uint64_t last, min_gap, max_gap;
    uint32_t rounds;              /* of each answer; 0: it runs candidates under guard instead */
    uint32_t guarded, unexpected; /* those */
    candidate next;
    char goes_bad; /* what the next answer does */
} live;

static const uint8_t model_id[32] = {0xaa, 1, 2, 3};

/* Nobody feeds the watchdog. The loop is long because an emulator is slow at short ones. */
__attribute__((noinline)) static void hang_masked(void) {
    __asm volatile("cpsid i\n 1: .rept 200\n nop\n .endr\n b 1b");
}

/* What is said. */

static void say(const char *text) {
    uint32_t bytes = 0;
    while (text[bytes] != 0) {
        bytes++;
    }
    tyf_port_uart_write((const uint8_t *)text, bytes);
}

static void say_number(const char *name, uint32_t number) {
    char digits[11];
    uint32_t at = sizeof digits;
    digits[--at] = 0;
    do {
        digits[--at] = (char)('0' + number % 10u);
        number /= 10u;
    } while (number != 0);
    say(name);
    say("=");
    say(digits + at);
    say(" ");
}

/* Live inference. */

static void run_guarded_candidate(void) {
    candidate kind = live.next;
    do {
        kind = (candidate)((kind + 1u) % CANDIDATE_COUNT);
    } while (!candidate_applies(kind, true, false));
    live.next = kind;
    live.guarded = live.guarded + 1u;
    if (candidate_run(kind, false).result != candidate_result(kind)) {
        live.unexpected = live.unexpected + 1u;
    }
}

static void answer(void *context) {
    (void)context;
    if (live.goes_bad == 'f') {
        __asm volatile("udf #3");
    } else if (live.goes_bad == 'h') {
        __asm volatile("1: b 1b");
    } else if (live.goes_bad == 's') {
        (void)candidate_recurse(0);
    } else if (live.goes_bad == 'w') {
        hang_masked();
    }
    if (live.rounds == 0) {
        run_guarded_candidate();
    }
    const uint32_t result = burn(live.rounds == 0 ? SHORT_ANSWER_ROUNDS : live.rounds, 7);
    if (live.expected == 0) {
        live.expected = result;
    }
    live.wrong += result != live.expected;
#if defined(__ARM_FP)
    volatile float x = 1.0f;
    for (int i = 0; i < 8; i++) {
        x = x * 1.5f;
    }
    live.wrong += x != 25.62890625f;
#endif
    const uint64_t now = tyf_port_ticks();
    if (live.answers != 0) {
        const uint64_t gap = now - live.last;
        live.min_gap = gap < live.min_gap ? gap : live.min_gap;
        live.max_gap = gap > live.max_gap ? gap : live.max_gap;
    }
    live.last = now;
    live.answers = live.answers + 1u;
}

static void start_answers(uint32_t rounds) {
    (void)tyf_port_live_every(PERIOD_MS, answer, NULL);
    live.rounds = rounds;
    live.expected = 0;
    const uint32_t answers = live.answers;
    while (live.answers < answers + 2u) {
    }
    live.wrong = 0;
    live.min_gap = UINT64_MAX;
    live.max_gap = 0;
}

static void say_answers(uint32_t since) {
    say_number("answers", live.answers - since);
    say_number("late", tyf_port_live_late());
    say_number("wrong", live.wrong);
    say_number("min_gap_us", (uint32_t)(live.min_gap * 1000u / (TYF_BOARD_TIMER_HZ / 1000u)));
    say_number("max_gap_us", (uint32_t)(live.max_gap * 1000u / (TYF_BOARD_TIMER_HZ / 1000u)));
    say_number("damaged", guard_damaged);
}

/* What must not be left: an exception that is active, or a fault that is pending. */
static uint32_t left_over(void) {
#if __ARM_ARCH >= 7
    return TYF_REGISTER(NVIC_IABR) | (TYF_REGISTER(SCB_SHCSR) & SHCSR_ACTIVE_OR_PENDED);
#else
    return TYF_REGISTER(SCB_ICSR) & 0x1ffu;
#endif
}

/* Candidates in thread mode. */

static uint32_t run_all(bool says) {
    uint32_t unexpected = 0;
    for (uint32_t i = 0; i < 2u * CANDIDATE_COUNT; i++) {
        const candidate kind = (candidate)(i / 2u);
        const bool is_sandboxed = i % 2u != 0;
        if (__ARM_ARCH < 7 && is_sandboxed) {
            continue;
        }
        if (!candidate_applies(kind, false, is_sandboxed)) {
            continue;
        }
        const tyf_guard_outcome outcome = candidate_run(kind, is_sandboxed);
        const bool is_expected = outcome.result == candidate_result(kind);
        unexpected += !is_expected;
        if (says || !is_expected) {
            say(candidate_names[kind]);
            say(is_sandboxed ? " sandboxed " : " plain ");
            say_number("result", (uint32_t)outcome.result);
            say_number("pc", outcome.pc);
            say_number("cfsr", outcome.cfsr);
            say_number("address", outcome.address);
            say("\n");
        }
    }
    return unexpected;
}

#if defined(__ARM_FP)
/* Floating-point registers of thread mode outlive whatever ends above it. */
static uint32_t lost_fp_registers(void) {
    static uint32_t in[16], out[16];
    for (uint32_t i = 0; i < 16; i++) {
        in[i] = 0x40000000u + i * 0x1111u + live.answers;
    }
    __asm volatile("vldmia %0, {s0-s15}\n movw r3, #30000\n 1: subs r3, #1\n bne 1b\n vstmia %1, {s0-s15}" ::"r"(in),
                   "r"(out)
                   : "r3", "cc", "memory", "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11",
                     "s12", "s13", "s14", "s15");
    uint32_t lost = 0;
    for (uint32_t i = 0; i < 16; i++) {
        lost += in[i] != out[i];
    }
    return lost;
}
#else
static uint32_t lost_fp_registers(void) {
    return 0;
}
#endif

static void under_load(uint32_t rounds) {
    start_answers(ANSWER_ROUNDS);
    const uint32_t since = live.answers;
    uint32_t unexpected = 0;
    for (uint32_t i = 0; i < rounds; i++) {
        (void)burn(200000, 1); /* management: 1 M instructions */
        unexpected += run_all(false);
        tyf_port_watchdog_feed();
    }
    say_number("unexpected", unexpected);
    say_answers(since);
    say_number("left_over", left_over());
    (void)tyf_port_live_every(0, answer, NULL);
}

static void guarded_live(uint32_t rounds) {
    live.guarded = 0;
    live.unexpected = 0;
    start_answers(0);
    const uint32_t since = live.answers;
    uint32_t unexpected = 0, lost = 0;
    for (uint32_t i = 0; i < rounds; i++) {
        lost += lost_fp_registers();
        unexpected += run_all(false);
        lost += lost_fp_registers();
        tyf_port_watchdog_feed();
    }
    (void)tyf_port_live_every(0, answer, NULL);
    say_number("guarded", live.guarded);
    say_number("unexpected", unexpected + live.unexpected);
    say_number("lost_fp", lost);
    say_answers(since);
    say_number("left_over", left_over());
}

static void nothing(void *argument) {
    (void)argument;
}

static void trap(void *argument) {
    (void)argument;
    __builtin_trap();
}

/* Instructions of a call, a guarded call and a guarded call that faults; the least of several. */
static uint32_t cost(void (*work)(void *)) {
    uint64_t least = UINT64_MAX;
    for (int i = 0; i < 20; i++) {
        const uint64_t start = tyf_port_ticks();
        (void)tyf_port_run_guarded(work, NULL, 100, NULL);
        const uint64_t ticks = tyf_port_ticks() - start;
        least = ticks < least ? ticks : least;
    }
    return (uint32_t)tyf_port_instructions(least);
}

static void measure(void) {
    uint64_t least = UINT64_MAX;
    for (int i = 0; i < 20; i++) {
        const uint64_t start = tyf_port_ticks();
        const uint64_t ticks = tyf_port_ticks() - start;
        least = ticks < least ? ticks : least;
    }
    const uint32_t empty = (uint32_t)tyf_port_instructions(least);
    say_number("guarded_call", cost(nothing) - empty);
    say_number("guarded_fault", cost(trap) - empty);
}

static void say_crash(void) {
    const uint8_t *record = tyf_port_crash_record();
    say_number("resets", tyf_port_resets());
    say("record=");
    for (uint32_t i = 0; record != NULL && i < TYF_CRASH_BYTES; i++) {
        const char hex[3] = {"0123456789abcdef"[record[i] >> 4], "0123456789abcdef"[record[i] & 15u], 0};
        say(hex);
    }
    if (record != NULL) {
        tyf_port_crash_forget();
    }
}

static void crash(char how) {
    switch (how) {
    case 'F': /* in thread mode */
        __asm volatile("udf #9");
        break;
    case 'A':
        TYF_ASSERT(how == 0);
        break;
    case 'S':
        (void)candidate_recurse(0);
        break;
    case 'W':
        hang_masked();
        break;
    case 'I': /* in an interrupt above live inference, while a guarded call is under way */
        TYF_REGISTER(NVIC_ISER) = 1u << FREE_IRQ;
        TYF_REGISTER(NVIC_ISPR) = 1u << FREE_IRQ;
        break;
    default: /* in live inference */
        live.goes_bad = how;
        tyf_port_live_call(answer, NULL);
    }
}

static void guarded_crash(void *argument) {
    (void)argument;
    crash('I');
}

static char next(void) {
    uint8_t letter = 0;
    while (tyf_port_uart_read(&letter, 1) == 0) {
        tyf_port_idle();
        tyf_port_watchdog_feed();
    }
    return (char)letter;
}

int main(void) {
    tyf_port_start();
    tyf_port_crash_names_model(model_id, 3);
    if (tyf_port_resets() != 0) { /* at power-on nobody may be listening yet */
        say("again\n\n");
    }
    for (;;) {
        const char letter = next();
        switch (letter) {
        case 'k': /* all candidates once */
            say_number("unexpected", run_all(true));
            say_number("left_over", left_over());
            say_number("damaged", guard_damaged);
            break;
        case 'l': /* u8 rounds of them, while live inference answers */
            under_load((uint8_t)next());
            break;
        case 'g': /* u8 rounds, while live inference runs candidates under guard as well */
            guarded_live((uint8_t)next());
            break;
        case 'm':
            measure();
            break;
        case 'r': /* the crash record, which is then forgotten */
            say_crash();
            break;
        case 'I':
            (void)tyf_port_run_guarded(guarded_crash, NULL, 100, NULL);
            break;
        default: /* no answer: the board resets */
            crash(letter);
        }
        say("\n\n");
    }
}
