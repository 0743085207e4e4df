/**
 * SMP group 65, what it keeps, and who may do what.
 *
 *     static const tyf_smp_command_group groups[] = {TYF_SESSION_GROUPS ...};
 *     static const tyf_smp_registry registry = {.groups = groups, .count = 9, .policy = TYF_SESSION_POLICY};
 *
 *     tyf_session_start(&registry, &identity);     // once, when settings and identity are there
 *
 * A board that keeps no settings has no sessions, and its macros are empty. Each link has a session of its own.
 */
#ifndef TYF_SESSION_GROUP_H
#define TYF_SESSION_GROUP_H

#include <stdbool.h>
#include <stddef.h>

#include "tyf/identity/identity.h"
#include "tyf/port/flash.h" /* whether the board has settings */
#include "tyf/smp/server.h"

#define TYF_SESSION_COMMAND_COUNT 5u

/** Where messages come from. */
typedef enum {
    TYF_SESSION_WIRE,
    TYF_SESSION_RADIO, /**< with TYF_CFG_BLE */
} tyf_session_link;
#define TYF_SESSION_LINKS (1u + TYF_CFG_BLE)

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

/** @return whether the link's session has had a record */
bool tyf_session_is_open(tyf_session_link link);

/** The link ended, and its session with it. */
void tyf_session_end(tyf_session_link link);

/** The table of docs/spec/security.md, as a registry's policy. */
int tyf_session_policy(const tyf_smp_command *command, uint16_t group, tyf_smp_trust trust);

#endif
