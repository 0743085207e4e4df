/** Code that goes wrong, under the host board's guard. */
#ifndef GUARDED_H
#define GUARDED_H

#include <stdint.h>

/** @param kind  0 returns, 1 traps, 2 writes where nothing is, 3 never ends. @return a tyf_guard_result */
uint32_t guarded(uint32_t kind, uint32_t budget_ms);

#endif
