/** The telemetry ring read while its writer preempts: a signal stands for live inference. */
#ifndef PREEMPTED_H
#define PREEMPTED_H

#include <stdint.h>

/**
 * Read for a while, with a record appended every few microseconds in between, and look at each record that comes.
 *
 * @param milliseconds  how long
 * @param reply  gets u32 reads, records read, records appended, and records that are torn, missing or repeated
 * @return bytes of the reply
 */
uint32_t preempted(uint32_t milliseconds, uint8_t *reply);

#endif
