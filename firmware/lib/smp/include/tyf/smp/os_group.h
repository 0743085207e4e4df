/**
 * SMP group 0 (os): echo, task statistics, reset, parameters, application info; docs/spec/wire.md.
 *
 *     static const tyf_smp_command_group groups[] = {TYF_SMP_OS_GROUP, ...};
 */
#ifndef TYF_SMP_OS_GROUP_H
#define TYF_SMP_OS_GROUP_H

#include "tyf/core/wire.h"
#include "tyf/smp/server.h"

#define TYF_SMP_OS_COMMAND_COUNT 5u

/** The commands of the group. */
extern const tyf_smp_command tyf_smp_os_commands[TYF_SMP_OS_COMMAND_COUNT];

/** Entry for a server's table of groups. */
#define TYF_SMP_OS_GROUP {.id = TYF_SMP_GROUP_OS, .count = TYF_SMP_OS_COMMAND_COUNT, .commands = tyf_smp_os_commands}

/** Text of `application info` and of hello; the application defines it. */
extern const char tyf_smp_application[];

#endif
