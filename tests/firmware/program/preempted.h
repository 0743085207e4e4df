/** The telemetry ring, and windows, read while its writer preempts: a signal stands for live inference. */
#ifndef PREEMPTED_H
#define PREEMPTED_H

#include <stdint.h>

/**
 * Read again and again, with a record appended every few microseconds in between, and look at each record that comes.
 *
 * @param count  ends after so many reads, so many records read, so many appended and so many windows read, or when that
 * takes far too long
 * @param reply  gets u32 reads, records read, records appended, records and windows that are torn, missing or repeated,
 * and windows read
 * @return bytes of the reply
 */
uint32_t preempted(uint32_t count, uint8_t *reply);

#endif
