/**
 * Time since boot, and the counter that measures an inference.
 *
 *     uint64_t start = tyf_port_ticks();
 *     tyf_model_run(&model, arena, NULL, NULL);
 *     uint64_t instructions = tyf_port_instructions(tyf_port_ticks() - start);
 */
#ifndef TYF_PORT_TIME_H
#define TYF_PORT_TIME_H

#include <stdint.h>

/** Ticks of the board's free-running counter since boot; never goes back. An interrupt may call it. */
uint64_t tyf_port_ticks(void);

/** Microseconds since boot; never goes back. An interrupt may call it. */
uint64_t tyf_port_uptime_us(void);

/**
 * Instructions that ran in that many ticks, on boards where the two have a fixed ratio (emulated ones with
 * -icount; the ratio stands in the board's manifest); 0 on others.
 */
uint64_t tyf_port_instructions(uint64_t ticks);

#endif
