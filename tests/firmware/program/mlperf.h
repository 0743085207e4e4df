/** The MLPerf Tiny monitor with a model that copies the first bytes of its input to its output. */
#ifndef MLPERF_H
#define MLPERF_H

#include <stdint.h>

/** u32 input bytes, u32 output bytes: start over. @return bytes of what it says, in reply */
uint32_t mlperf_start(const uint8_t *data, uint8_t *reply);

/** Feed it. @return bytes of what it says, in reply */
uint32_t mlperf_take(const uint8_t *data, uint32_t bytes, uint8_t *reply);

/** u32 seed, u32 rounds, then commands with a u16 length before each; damage and feed them. @return as fuzz() */
uint32_t mlperf_fuzz(const uint8_t *data, uint32_t bytes, uint8_t *reply);

#endif
