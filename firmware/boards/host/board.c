#include "tyf/host_board.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "model.h"
#include "tyf/core/assert.h"
#include "tyf/core/config.h"
#include "tyf/host_flash.h"
#include "tyf/management/management.h"
#include "tyf/port/crash.h"
#include "tyf/port/hci.h"
#include "tyf/port/live.h"
#include "tyf/port/system.h"
#include "tyf/port/time.h"
#include "tyf/port/uart.h"
#include "tyf/port/witness.h"
#include "tyf/sensor/sensor.h"

const char tyf_smp_application[] = "sensor host";

/* Answers that wait to be taken. Before each slice of input there is room for all that it can cause: a slice holds
 * less than four requests, and no answer's text is longer than twice the largest frame. */
#define OUTPUT_BYTES (64u * TYF_CFG_SMP_FRAME_BYTES)
#define HCI_OUTPUT_BYTES 512u
#define SLICE_BYTES 32u
#define SLICE_OUTPUT_BYTES (8u * TYF_CFG_SMP_FRAME_BYTES)

static struct {
    uint64_t uptime_us;
    uint32_t resets;
    bool is_reset_wanted;
    const uint8_t *input; /* of the slice that is being worked off */
    uint32_t input_bytes;
    uint32_t output_bytes;
    void (*live_work)(void *); /* NULL: none that repeats */
    void *live_argument;
    uint64_t live_period_us, live_due_us;
    uint8_t output[OUTPUT_BYTES];
    const uint8_t *hci_input;
    uint32_t hci_input_bytes, hci_output_bytes;
    uint8_t hci_output[HCI_OUTPUT_BYTES];
} board;

TYF_SENSOR_ARENA(arena, TYF_APP_ARENA_BYTES);
#if TYF_CFG_MODEL_ARENA_BYTES > 0
TYF_SENSOR_ARENA(spare, TYF_APP_ARENA_BYTES);
#else
#define spare NULL
#endif

static void start(void *unused) {
    (void)unused;
    board.uptime_us = 0;
    board.is_reset_wanted = false;
    board.input_bytes = 0;
    board.hci_input_bytes = 0;
    board.live_work = NULL;
    tyf_port_start();
    tyf_sensor_start(&TYF_APP_MODEL, arena, spare);
}

static uint8_t kept[TYF_CFG_EVENTS * TYF_EVENT_BYTES];

uint8_t *tyf_port_kept(uint32_t *bytes) {
    *bytes = sizeof kept;
    return kept;
}

void tyf_host_power_on(uint8_t *nvm, uint32_t nvm_bytes) {
    memset(&board, 0, sizeof board);
    memset(kept, 0xa5, sizeof kept);
    tyf_host_flash_open(nvm, nvm_bytes);
    (void)tyf_host_flash_run(start, NULL);
}

static void work_off_input(void *unused) {
    while (tyf_sensor_poll() && !board.is_reset_wanted) {
    }
    if (board.is_reset_wanted) {
        board.resets++;
        start(unused);
    }
}

uint32_t tyf_host_feed(const uint8_t *data, uint32_t bytes) {
    uint32_t done = 0;
    if (!tyf_host_flash_is_on()) {
        return bytes;
    }
    while (done < bytes && sizeof board.output - board.output_bytes >= SLICE_OUTPUT_BYTES) {
        board.input = data + done;
        board.input_bytes = bytes - done < SLICE_BYTES ? bytes - done : SLICE_BYTES;
        done += board.input_bytes;
        if (!tyf_host_flash_run(work_off_input, NULL)) {
            board.output_bytes = 0;
            return bytes;
        }
    }
    return done;
}

uint32_t tyf_host_take(uint8_t *data, uint32_t capacity) {
    uint32_t count = board.output_bytes < capacity ? board.output_bytes : capacity;
    memcpy(data, board.output, count);
    board.output_bytes -= count;
    memmove(board.output, board.output + count, board.output_bytes);
    return count;
}

#if TYF_CFG_WITNESS
static struct {
    uint32_t bytes;
    uint8_t text[262144];
} witness;

void tyf_port_witness_write(const uint8_t *data, uint32_t bytes) {
    TYF_ASSERT(bytes <= sizeof witness.text - witness.bytes);
    memcpy(witness.text + witness.bytes, data, bytes);
    witness.bytes += bytes;
}

uint32_t tyf_host_take_witness(uint8_t *data, uint32_t capacity) {
    const uint32_t count = witness.bytes < capacity ? witness.bytes : capacity;
    memcpy(data, witness.text, count);
    witness.bytes -= count;
    memmove(witness.text, witness.text + count, witness.bytes);
    return count;
}
#endif

uint32_t tyf_host_hci_feed(const uint8_t *data, uint32_t bytes) {
    board.hci_input = data;
    board.hci_input_bytes = tyf_host_flash_is_on() ? bytes : 0;
    if (tyf_host_flash_is_on()) {
        (void)tyf_host_flash_run(work_off_input, NULL);
    }
    return bytes - board.hci_input_bytes;
}

uint32_t tyf_host_hci_take(uint8_t *data, uint32_t capacity) {
    uint32_t count = board.hci_output_bytes < capacity ? board.hci_output_bytes : capacity;
    memcpy(data, board.hci_output, count);
    board.hci_output_bytes -= count;
    memmove(board.hci_output, board.hci_output + count, board.hci_output_bytes);
    return count;
}

void tyf_host_advance_us(uint64_t us) {
    const uint64_t end_us = board.uptime_us + us;
    while (board.live_work != NULL && board.live_due_us <= end_us) {
        board.uptime_us = board.live_due_us;
        board.live_due_us += board.live_period_us;
        board.live_work(board.live_argument);
    }
    board.uptime_us = end_us;
}

uint32_t tyf_host_resets(void) {
    return board.resets;
}

/* The ports. */

uint32_t tyf_port_uart_read(uint8_t *data, uint32_t capacity) {
    uint32_t count = board.input_bytes < capacity ? board.input_bytes : capacity;
    if (count > 0) {
        memcpy(data, board.input, count);
        board.input += count;
        board.input_bytes -= count;
    }
    return count;
}

void tyf_port_uart_write(const uint8_t *data, uint32_t bytes) {
    TYF_ASSERT(bytes <= sizeof board.output - board.output_bytes);
    memcpy(board.output + board.output_bytes, data, bytes);
    board.output_bytes += bytes;
}

uint32_t tyf_port_hci_read(uint8_t *data, uint32_t capacity) {
    uint32_t count = board.hci_input_bytes < capacity ? board.hci_input_bytes : capacity;
    if (count > 0) {
        memcpy(data, board.hci_input, count);
        board.hci_input += count;
        board.hci_input_bytes -= count;
    }
    return count;
}

uint32_t tyf_port_hci_write(const uint8_t *data, uint32_t bytes) {
    const uint32_t room = (uint32_t)sizeof board.hci_output - board.hci_output_bytes;
    const uint32_t count = bytes < room ? bytes : room;
    memcpy(board.hci_output + board.hci_output_bytes, data, count);
    board.hci_output_bytes += count;
    return count;
}

uint64_t tyf_port_ticks(void) {
    return board.uptime_us;
}

uint64_t tyf_port_uptime_us(void) {
    return board.uptime_us;
}

uint64_t tyf_port_instructions(uint64_t ticks) {
    (void)ticks;
    return 0;
}

const char *tyf_port_board(void) {
    return "host";
}

void tyf_port_start(void) {
}

void tyf_port_idle(void) {
}

void tyf_port_watchdog_feed(void) {
}

void tyf_port_reset(void) {
    board.is_reset_wanted = true;
}

uint32_t tyf_port_resets(void) {
    return board.resets;
}

bool tyf_port_last_fault(tyf_port_fault *fault) {
    *fault = (tyf_port_fault){0};
    return false;
}

void tyf_port_live_call(void (*work)(void *), void *argument) {
    work(argument);
}

bool tyf_port_live_every(uint32_t period_ms, void (*work)(void *), void *argument) {
    board.live_work = period_ms != 0 ? work : NULL;
    board.live_argument = argument;
    board.live_period_us = period_ms * UINT64_C(1000);
    board.live_due_us = board.uptime_us + board.live_period_us;
    return true;
}

uint32_t tyf_port_live_late(void) {
    return 0; /* time stands still while it works */
}

void tyf_port_live_load(tyf_live_load *load) {
    *load = (tyf_live_load){0};
}

void tyf_port_crash_names_model(const uint8_t *model_id, uint32_t generation) {
    (void)model_id;
    (void)generation;
}

const uint8_t *tyf_port_crash_record(void) {
    return NULL;
}

void tyf_port_crash_forget(void) {
}

uint32_t tyf_port_hold_interrupts(void) {
    return 0;
}

void tyf_port_resume_interrupts(uint32_t state) {
    (void)state;
}

uint32_t tyf_port_stack_bytes(void) {
    return 0;
}

uint32_t tyf_port_stack_used_bytes(void) {
    return 0;
}
