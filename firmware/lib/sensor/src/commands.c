/* The commands of this application. */
#include <stddef.h>

#include "sensor.h"
#include "tyf/smp/os_group.h"

static const tyf_smp_command commands[] = {
    {.id = TYF_COMMAND_HELLO, .on_read = tyf_sensor_hello},
    {.id = TYF_COMMAND_MODEL_INFO, .on_read = tyf_sensor_model_info},
    {.id = TYF_COMMAND_INFER, .on_read = tyf_sensor_read_output, .on_write = tyf_sensor_infer_chunk},
    {.id = TYF_COMMAND_SELF_INFER, .on_write = tyf_sensor_self_infer},
    {.id = TYF_COMMAND_RESULTS, .on_read = tyf_sensor_results},
    {.id = TYF_COMMAND_REPLAY, .on_write = tyf_sensor_replay_samples},
    {.id = TYF_COMMAND_STATS, .on_read = tyf_sensor_stats},
};

const tyf_smp_command_group tyf_sensor_groups[TYF_SENSOR_GROUP_COUNT] = {
    TYF_SMP_OS_GROUP,
    {.id = TYF_SMP_GROUP_TINYFLEET, .commands = commands, .count = sizeof commands / sizeof commands[0]},
};
