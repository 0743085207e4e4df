/* The sensor application on a board. All of it is in lib/sensor, where it can be tested. */
#include "model.h"
#include "tyf/port/system.h"
#include "tyf/sensor/sensor.h"

static _Alignas(16) uint8_t arena[TYF_APP_ARENA_BYTES];

int main(void) {
    tyf_port_start();
    tyf_sensor_start(&TYF_APP_MODEL, arena, TYF_APP_NAME);
    for (;;) {
        if (!tyf_sensor_poll()) {
            tyf_port_idle();
        }
        tyf_port_watchdog_feed();
    }
}
