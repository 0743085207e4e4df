/* The commands of this application. */
#include <stddef.h>

#include "sensor.h"
#include "tyf/crash/crash.h"
#include "tyf/events/events.h"
#include "tyf/management/management.h"
#include "tyf/model_store/commands.h"
#include "tyf/session/group.h"

static const tyf_smp_command commands[] = {
    {TYF_MESSAGE_HELLO, .handler = tyf_sensor_hello},
    {TYF_MESSAGE_MODEL_INFO, .handler = tyf_sensor_model_info},
    {TYF_MESSAGE_INFER, .handler = tyf_sensor_infer_chunk},
    {TYF_MESSAGE_OUTPUT, .handler = tyf_sensor_read_output},
    {TYF_MESSAGE_SELF_INFER, .handler = tyf_sensor_self_infer},
    {TYF_MESSAGE_RESULTS, .handler = tyf_sensor_results},
    {TYF_MESSAGE_REPLAY, .handler = tyf_sensor_replay_samples},
    {TYF_MESSAGE_STATS, .handler = tyf_sensor_stats},
    {TYF_MESSAGE_SAMPLING, .handler = tyf_sensor_sample},
    {TYF_MESSAGE_SAMPLING_STATE, .handler = tyf_sensor_sampling_state},
    {TYF_MESSAGE_WINDOW, .handler = tyf_sensor_read_window},
#if TYF_CFG_MODEL_ARENA_BYTES > 0
    TYF_MODEL_STORE_COMMANDS,
#endif
};

/* clang-format off */
static const tyf_smp_command_group groups[] = {
    TYF_MANAGEMENT_GROUPS,
    TYF_SESSION_GROUPS
    {.id = TYF_SMP_GROUP_TINYFLEET, .name = "tinyfleet", .commands = commands, .count = sizeof commands / sizeof commands[0]},
};
/* clang-format on */

#if TYF_CFG_EVENTS > 0
#define ECHO 0u /* of group os */

/* What changes the board, and what was denied. Inference, telemetry and what only looks have counters of their own. */
static bool is_of_interest(const tyf_smp_note *note) {
    if (note->result == TYF_SMP_EACCESSDENIED) {
        return true;
    }
    if (note->op != TYF_SMP_OP_WRITE) {
        return false;
    }
    switch (note->group) {
    case TYF_SMP_GROUP_OS:
        return note->command != ECHO;
    case TYF_SMP_GROUP_SESSION:
        return note->command != TYF_SESSION_COMMAND_RECORD || note->result != TYF_SMP_OK;
    case TYF_SMP_GROUP_TINYFLEET:
        return note->command > TYF_COMMAND_MODELS;
    default:
        return true;
    }
}

static void note_request(const tyf_smp_note *note) {
    if (is_of_interest(note)) {
        tyf_event(&(tyf_event_facts){.kind = TYF_EVENT_REQUEST,
                                     .trust = (uint8_t)note->trust,
                                     .subject = note->group,
                                     .detail = note->command,
                                     .result = (int8_t)note->result});
    }
}
#define NOTE_REQUEST note_request
#else
#define NOTE_REQUEST NULL
#endif

const tyf_smp_registry tyf_sensor_registry = {
    .groups = groups,
    .count = sizeof groups / sizeof groups[0],
    .policy = TYF_SESSION_POLICY,
    .note = NOTE_REQUEST,
};

/* What the standard groups show of this application. */

enum {
    POOL_ARENA,
    POOL_TELEMETRY,
#if TYF_CFG_CAPTURE_BYTES > 0
    POOL_WINDOWS,
#endif
    POOL_COUNT
};

static void fill_pool(uint32_t index, tyf_management_pool *pool) {
    const tyf_sensor *s = &tyf_sensor_state;
    if (index == POOL_ARENA) {
        *pool = (tyf_management_pool){.name = "arena", .block_bytes = s->live->model->arena_bytes, .blocks = 1};
    } else if (index == POOL_TELEMETRY) {
        const uint32_t free_bytes = s->ring.capacity - s->ring.used;
        *pool = (tyf_management_pool){.name = "telemetry",
                                      .block_bytes = 1,
                                      .blocks = s->ring.capacity,
                                      .free_blocks = free_bytes,
                                      .fewest_free = free_bytes}; /* it only grows until it is full */
    }
#if TYF_CFG_CAPTURE_BYTES > 0
    else {
        const uint32_t free_places = s->windows.places - tyf_telemetry_windows_held(&s->windows);
        *pool = (tyf_management_pool){.name = "windows",
                                      .block_bytes = s->windows.layout.bytes,
                                      .blocks = s->windows.places,
                                      .free_blocks = free_places,
                                      .fewest_free = free_places};
    }
#endif
}

static const tyf_management_file files[] = {{"crash", tyf_crash_read}, {"events", tyf_events_read}};
static const tyf_management_stat stats[] = {{"sensor", tyf_sensor_add_stats}};

const tyf_management_facts tyf_management_application = {
    .registry = &tyf_sensor_registry,
    .stats = stats,
    .files = files,
    .file_count = sizeof files / sizeof files[0],
    .stat_count = sizeof stats / sizeof stats[0],
    .pool = fill_pool,
    .pool_count = POOL_COUNT,
};
