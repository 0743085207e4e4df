/* The sensor application on a board. All of it is in lib/sensor, where it can be tested. */
#include "model.h"
#include "tyf/management/management.h"
#include "tyf/port/system.h"
#include "tyf/sensor/sensor.h"

#ifndef TYF_APP_VERSION
#define TYF_APP_VERSION "dev"
#endif

const char tyf_smp_application[] = TYF_APP_NAME " " TYF_APP_VERSION;

TYF_SENSOR_ARENA(arena, TYF_APP_ARENA_BYTES);
#if TYF_CFG_MODEL_ARENA_BYTES > 0
TYF_SENSOR_ARENA(spare, TYF_APP_ARENA_BYTES);
#else
#define spare NULL
#endif

int main(void) {
    tyf_port_start();
    tyf_sensor_start(&TYF_APP_MODEL, arena, spare);
    for (;;) {
        if (!tyf_sensor_poll()) {
            tyf_port_idle();
        }
        tyf_port_watchdog_feed();
    }
}
