/** The end of the program: what is known goes into memory that outlives the reset. */
#ifndef TYF_CORTEX_M_CRASH_H
#define TYF_CORTEX_M_CRASH_H

#include <stdint.h>

#include "tyf/port/crash.h"

/** What an exception handler knows. */
typedef struct {
    tyf_crash_why why;
    uint32_t exc_return; /* as the handler found it */
    uint32_t sp;         /* of the stack that was in use, frame included */
    uint32_t cfsr;
    uint32_t address;
} tyf_crash_cause;

/**
 * Record and reset.
 *
 * @param frame  that the exception pushed; NULL when it cannot be read
 */
_Noreturn void tyf_crash(const tyf_crash_cause *cause, const uint32_t *frame);

#endif
