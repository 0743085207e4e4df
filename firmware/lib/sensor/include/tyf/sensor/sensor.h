/**
 * The sensor application without its board: samples in, inferences, records, and the SMP server over the console UART.
 *
 *     static _Alignas(16) uint8_t arena[TYF_APP_ARENA_BYTES];
 *
 *     tyf_port_start();
 *     tyf_sensor_start(&TYF_APP_MODEL, arena);
 *     for (;;) {
 *         if (!tyf_sensor_poll()) {
 *             tyf_port_idle();
 *         }
 *         tyf_port_watchdog_feed();
 *     }
 *
 * One instance a program.
 */
#ifndef TYF_SENSOR_SENSOR_H
#define TYF_SENSOR_SENSOR_H

#include <stdbool.h>
#include <stdint.h>

#include "tyf/model/model.h"

/**
 * Count this boot and start with empty telemetry.
 *
 * @param model  must outlive the program's use of it
 * @param arena  model->arena_bytes, 16-byte aligned; same lifetime
 */
void tyf_sensor_start(const tyf_model *model, uint8_t *arena);

/**
 * Take what the UART received and answer complete requests.
 *
 * @return true when it did something: call again before sleeping
 */
bool tyf_sensor_poll(void);

#endif
