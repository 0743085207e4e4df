/* The commands of this application, one row each. */
#include "sensor.h"

/* Commands of group os, as MCUmgr numbers them. */
enum { OS_ECHO = 0, OS_TASK_STATS = 2, OS_RESET = 5, OS_PARAMS = 6, OS_APP_INFO = 7 };

const tyf_smp_command tyf_sensor_commands[] = {
    {TYF_SMP_GROUP_OS, OS_ECHO, TYF_SMP_READ | TYF_SMP_WRITE, tyf_sensor_echo},
    {TYF_SMP_GROUP_OS, OS_TASK_STATS, TYF_SMP_READ, tyf_sensor_task_stats},
    {TYF_SMP_GROUP_OS, OS_RESET, TYF_SMP_WRITE, tyf_sensor_reset},
    {TYF_SMP_GROUP_OS, OS_PARAMS, TYF_SMP_READ, tyf_sensor_params},
    {TYF_SMP_GROUP_OS, OS_APP_INFO, TYF_SMP_READ, tyf_sensor_app_info},
    {TYF_SMP_GROUP_TINYFLEET, TYF_COMMAND_HELLO, TYF_SMP_READ, tyf_sensor_hello},
    {TYF_SMP_GROUP_TINYFLEET, TYF_COMMAND_MODEL_INFO, TYF_SMP_READ, tyf_sensor_model_info},
    {TYF_SMP_GROUP_TINYFLEET, TYF_COMMAND_INFER, TYF_SMP_READ | TYF_SMP_WRITE, tyf_sensor_infer_chunk},
    {TYF_SMP_GROUP_TINYFLEET, TYF_COMMAND_SELF_INFER, TYF_SMP_WRITE, tyf_sensor_self_infer},
    {TYF_SMP_GROUP_TINYFLEET, TYF_COMMAND_RESULTS, TYF_SMP_READ, tyf_sensor_results},
    {TYF_SMP_GROUP_TINYFLEET, TYF_COMMAND_REPLAY, TYF_SMP_WRITE, tyf_sensor_replay_samples},
    {TYF_SMP_GROUP_TINYFLEET, TYF_COMMAND_STATS, TYF_SMP_READ, tyf_sensor_stats},
};

const uint32_t tyf_sensor_command_count = sizeof tyf_sensor_commands / sizeof tyf_sensor_commands[0];
