/**
 * The sensor application without its board: samples in, inferences, records, and the SMP server over the console UART.
 *
 *     TYF_SENSOR_ARENA(arena, TYF_APP_ARENA_BYTES);
 *
 *     tyf_port_start();
 *     tyf_sensor_start(&TYF_APP_MODEL, arena, NULL);
 *     for (;;) {
 *         if (!tyf_sensor_poll()) {
 *             tyf_port_idle();
 *         }
 *         tyf_port_watchdog_feed();
 *     }
 *
 * Management runs in the main loop, live inference above it (tyf/port/live.h): samples that are due are answered
 * whatever management does. One instance a program.
 */
#ifndef TYF_SENSOR_SENSOR_H
#define TYF_SENSOR_SENSOR_H

#include <stdbool.h>
#include <stdint.h>

#include "tyf/core/config.h"
#include "tyf/model/model.h"
#include "tyf/model_store/store.h"
#include "tyf/port/guard.h"

/** Declare an arena for a built-in model of `bytes`, as large as the models need that are loaded at run time. */
#if TYF_CFG_MODEL_ARENA_BYTES > 0
#define TYF_SENSOR_ARENA(name, bytes)                                                                                  \
    static TYF_GUARD_ARENA(name, TYF_MODEL_STORE_ARENA_BYTES(bytes)) TYF_APP_ARENA_PLACE()
#else
#define TYF_SENSOR_ARENA(name, bytes) static _Alignas(16) uint8_t name[bytes] TYF_APP_ARENA_PLACE()
#endif

/**
 * Count this boot and start with empty telemetry.
 *
 * @param model  the built-in one, must outlive the program's use of it
 * @param arena  a TYF_SENSOR_ARENA of it; same lifetime
 * @param spare  another one, for models that are loaded at run time; NULL where TYF_CFG_MODEL_ARENA_BYTES is 0
 */
void tyf_sensor_start(const tyf_model *model, uint8_t *arena, uint8_t *spare);

/**
 * Take what the UART received and answer complete requests.
 *
 * @return true when it did something: call again before sleeping
 */
bool tyf_sensor_poll(void);

#endif
