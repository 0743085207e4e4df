/** Candidates that go wrong, each in its own way. */
#ifndef CANDIDATES_H
#define CANDIDATES_H

#include <stdbool.h>
#include <stdint.h>

#include "tyf/port/guard.h"

/* name, what comes of it. The names are those of tests/firmware/test_guard_on_boards.py. */
#define CANDIDATES(X)                                                                                                  \
    X(RETURNS, OK)                                                                                                     \
    X(LONG_BUT_IN_TIME, OK)                                                                                            \
    X(ARENA_TO_ITS_EDGES, OK)                                                                                          \
    X(UDF, FAULT)                                                                                                      \
    X(BUS, FAULT)                                                                                                      \
    X(THUMB_STATE, FAULT)                                                                                              \
    X(REGISTERS_AND_UDF, FAULT)                                                                                        \
    X(DIVISION_BY_ZERO, FAULT)                                                                                         \
    X(NVM_WRITE, FAULT)                                                                                                \
    X(STACK_OVERFLOW, FAULT)                                                                                           \
    X(FP_AND_STACK_OVERFLOW, FAULT)                                                                                    \
    X(SP_BAD, FAULT)                                                                                                   \
    X(MASKED_AND_UDF, FAULT)                                                                                           \
    X(SUPERVISOR_CALL, FAULT)                                                                                          \
    X(PREDICATED_FAULT, FAULT)                                                                                         \
    X(WRITE_WILD, FAULT)                                                                                               \
    X(WRITE_BELOW_ARENA, FAULT)                                                                                        \
    X(WRITE_ABOVE_ARENA, FAULT)                                                                                        \
    X(WRITE_HANDLE, FAULT)                                                                                             \
    X(WRITE_DEVICE, FAULT)                                                                                             \
    X(HANG, OVERRUN)                                                                                                   \
    X(FP_AND_HANG, OVERRUN)                                                                                            \
    X(OVERRUN, OVERRUN)                                                                                                \
    X(MASKED_AND_HANG, OVERRUN)

#define NAME(name, result) CANDIDATE_##name,
typedef enum { CANDIDATES(NAME) CANDIDATE_COUNT } candidate;
#undef NAME

extern const char *const candidate_names[CANDIDATE_COUNT];

/** Whether this core sees what the candidate does, there. */
bool candidate_applies(candidate kind, bool is_live, bool is_sandboxed);

/** The result that it must have. */
tyf_guard_result candidate_result(candidate kind);

/** Run it under guard; the budget fits it. @return what came of it */
tyf_guard_outcome candidate_run(candidate kind, bool is_sandboxed);

/** Burn five instructions a round. */
uint32_t burn(uint32_t rounds, uint32_t seed);

/** Until the stack is full. */
uint32_t candidate_recurse(uint32_t depth);

#endif
