/* A board under an MLPerf Tiny runner. All of it is in lib/mlperf, where it can be tested. */
#include "model.h"
#include "tyf/mlperf/monitor.h"
#include "tyf/port/system.h"
#include "tyf/port/uart.h"

static _Alignas(16) uint8_t arena[TYF_APP_ARENA_BYTES] TYF_APP_ARENA_PLACE();
static _Alignas(4) uint8_t buffer[TYF_MLPERF_BUFFER_BYTES(TYF_APP_INPUT_BYTES, TYF_APP_OUTPUT_BYTES)];

static const tyf_mlperf_config config = {
    .model = &TYF_APP_MODEL,
    .arena = arena,
    .buffer = buffer,
    .write = tyf_port_uart_write,
    .input_scale = TYF_APP_INPUT_SCALE,
    .input_zero_point = TYF_APP_INPUT_ZERO_POINT,
    .output_scale = TYF_APP_OUTPUT_SCALE,
    .output_zero_point = TYF_APP_OUTPUT_ZERO_POINT,
};

int main(void) {
    tyf_port_start();
    tyf_mlperf_start(&config);
    for (;;) {
        uint8_t bytes[64];
        uint32_t count = tyf_port_uart_read(bytes, sizeof bytes);
        if (count == 0u) {
            tyf_port_idle();
        }
        tyf_mlperf_take(bytes, count);
        tyf_port_watchdog_feed();
    }
}
