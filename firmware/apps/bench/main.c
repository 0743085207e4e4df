/*
 * One model and nothing else, so that what this program weighs is what the engine weighs.
 *
 * The UART carries the model's input tensor in; after one inference it carries out a report (all u32, little-endian:
 * instructions or 0, timer ticks, most bytes of stack ever in use) and the output tensor. No frames: both sides know
 * the sizes.
 */
#include <stddef.h>
#include <stdint.h>

#include "model.h"
#include "tyf/core/bytes.h"
#include "tyf/port/system.h"
#include "tyf/port/time.h"
#include "tyf/port/uart.h"

#define REPORT_BYTES 12u

/* Not cleared at start-up: an inference writes all that it reads. */
static _Alignas(16) uint8_t arena[TYF_APP_ARENA_BYTES] TYF_APP_ARENA_PLACE(__attribute__((section(".noinit"))));

void tyf_bench_receive(uint8_t *data, uint32_t bytes);

/* The measurement of the start-up ends where this begins; hence a symbol of its own. */
__attribute__((noinline)) void tyf_bench_receive(uint8_t *data, uint32_t bytes) {
    uint32_t have = 0;
    while (have < bytes) {
        uint32_t count = tyf_port_uart_read(data + have, bytes - have);
        if (count == 0u) {
            tyf_port_idle();
        }
        have += count;
        tyf_port_watchdog_feed();
    }
}

int main(void) {
    const tyf_model *model = &TYF_APP_MODEL;
    tyf_port_start();
    tyf_model_reset(model, arena);
    tyf_model_reset(model, arena);
    for (;;) {
        uint8_t report[REPORT_BYTES];
        tyf_bench_receive(arena + model->input_offset, model->input_bytes);
        uint32_t state = tyf_port_hold_interrupts();
        uint64_t start = tyf_port_ticks();
        tyf_model_run(model, arena, NULL, NULL);
        uint64_t ticks = tyf_port_ticks() - start;
        tyf_port_resume_interrupts(state);
        tyf_put_u32_le(report, (uint32_t)tyf_port_instructions(ticks));
        tyf_put_u32_le(report + 4, (uint32_t)ticks);
        tyf_put_u32_le(report + 8, tyf_port_stack_used_bytes());
        tyf_port_uart_write(report, sizeof report);
        tyf_port_uart_write(arena + model->output_offset, model->output_bytes);
    }
}
