/**
 * SMP group 65, what it keeps, and who may do what.
 *
 *     static const tyf_smp_command_group groups[] = {TYF_SESSION_GROUPS ...};
 *     static const tyf_smp_registry registry = {.groups = groups, .count = 9, .policy = TYF_SESSION_POLICY};
 *
 *     tyf_session_start(&registry, &identity);     // once, when settings and identity are there
 *
 * A board that keeps no settings has no sessions, and its macros are empty. One link at a time holds a session.
 */
#ifndef TYF_SESSION_GROUP_H
#define TYF_SESSION_GROUP_H

#include <stddef.h>

#include "tyf/identity/identity.h"
#include "tyf/port/flash.h" /* whether the board has settings */
#include "tyf/smp/server.h"

#define TYF_SESSION_COMMAND_COUNT 5u

extern const tyf_smp_command tyf_session_commands[TYF_SESSION_COMMAND_COUNT];

/* clang-format off */
#ifdef TYF_BOARD_AREA_SETTINGS_0_BYTES
/** Entries for a registry's table of groups. */
#define TYF_SESSION_GROUPS                                                                                             \
    {.id = TYF_SMP_GROUP_SESSION, .name = "session", .commands = tyf_session_commands, .count = TYF_SESSION_COMMAND_COUNT},
/** A registry's policy. */
#define TYF_SESSION_POLICY tyf_session_policy
#else
#define TYF_SESSION_GROUPS
#define TYF_SESSION_POLICY NULL
#endif
/* clang-format on */

/** Take key and lock from the settings, and start the source of randomness. */
void tyf_session_start(const tyf_smp_registry *registry, const tyf_identity *identity);

/** The table of docs/spec/security.md, as a registry's policy. */
int tyf_session_policy(const tyf_smp_command *command, uint16_t group, tyf_smp_trust trust);

#endif
