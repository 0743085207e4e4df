/**
 * Division of 64 bits by 32: times and counts are divided now and then, and the compiler's own routine takes a
 * kilobyte.
 *
 *     uint64_t uptime_ms = tyf_divide_u64(uptime_us, 1000);
 */
#ifndef TYF_CORE_DIVIDE_H
#define TYF_CORE_DIVIDE_H

#include <stdint.h>

/** @param divisor  [1, 2^31] @return value / divisor, rounded down */
uint64_t tyf_divide_u64(uint64_t value, uint32_t divisor);

#endif
