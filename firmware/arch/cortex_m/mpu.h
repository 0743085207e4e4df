/** The memory protection unit: stacks that end, NVM that only its driver writes, and the sandbox of a candidate. */
#ifndef TYF_CORTEX_M_MPU_H
#define TYF_CORTEX_M_MPU_H

#include "tyf/port/guard.h"

/** Bytes below each stack that nothing may touch, on ARMv7-M; more than the largest frame that an exception pushes. */
#define TYF_STACK_GUARD_BYTES 256u

/* On cores without one these do nothing. Thread mode only: an exception must not find them half done. */
void tyf_mpu_start(void);
void tyf_mpu_open_sandbox(const tyf_guard_sandbox *sandbox);
void tyf_mpu_close_sandbox(void);

#endif
