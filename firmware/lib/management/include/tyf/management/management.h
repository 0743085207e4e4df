/**
 * The standard SMP groups, complete: os, image, stat, settings, fs, enumeration; docs/spec/wire.md. What they show of
 * the application they find in one constant, which the application defines:
 *
 *     const char tyf_smp_application[] = "sensor 1.0";
 *     const tyf_management_facts tyf_management_application = {.registry = &registry, .stats = stats, ...};
 *
 *     static const tyf_smp_command_group groups[] = {TYF_MANAGEMENT_GROUPS, ...};
 *     static const tyf_smp_registry registry = {.groups = groups, ...};
 *     tyf_management_start();
 */
#ifndef TYF_MANAGEMENT_MANAGEMENT_H
#define TYF_MANAGEMENT_MANAGEMENT_H

#include <stdint.h>

#include "tyf/core/wire.h"
#include "tyf/port/flash.h" /* which areas the board has */
#include "tyf/smp/server.h"

/** A group of counters: its name, and what adds them (at most 23, each by tyf_cbor_add_uint). */
typedef struct {
    const char *name;
    void (*add)(tyf_cbor_writer *fields);
} tyf_management_stat;

/** Buffers, as statistics of memory pools tell them. */
typedef struct {
    const char *name;
    uint32_t block_bytes;
    uint32_t blocks;
    uint32_t free_blocks;
    uint32_t fewest_free; /**< since boot */
} tyf_management_pool;

/** A file to read: where its bytes are now, and how many; none: it is not there. */
typedef struct {
    const char *name;
    const uint8_t *(*open)(uint32_t *bytes);
} tyf_management_file;

/** What the standard groups show of an application. */
typedef struct {
    const tyf_smp_registry *registry; /**< what the enumeration group lists */
    const tyf_management_stat *stats;
    const tyf_management_file *files;
    /** Fill pool number index, 0 .. pool_count - 1. */
    void (*pool)(uint32_t index, tyf_management_pool *pool);
    uint8_t stat_count;
    uint8_t file_count;
    uint8_t pool_count;
} tyf_management_facts;

/** The application defines both; the text is that of `application info` and of hello. */
extern const tyf_management_facts tyf_management_application;
extern const char tyf_smp_application[];

/** Numbers of commands. */
#define TYF_MANAGEMENT_OS_COMMANDS 9u
#define TYF_MANAGEMENT_IMAGE_COMMANDS 5u
#define TYF_MANAGEMENT_STAT_COMMANDS 2u
#define TYF_MANAGEMENT_SETTINGS_COMMANDS 6u
#define TYF_MANAGEMENT_FS_COMMANDS 5u
#define TYF_MANAGEMENT_ENUM_COMMANDS 4u

extern const tyf_smp_command tyf_management_os_commands[TYF_MANAGEMENT_OS_COMMANDS];
extern const tyf_smp_command tyf_management_image_commands[TYF_MANAGEMENT_IMAGE_COMMANDS];
extern const tyf_smp_command tyf_management_stat_commands[TYF_MANAGEMENT_STAT_COMMANDS];
extern const tyf_smp_command tyf_management_settings_commands[TYF_MANAGEMENT_SETTINGS_COMMANDS];
extern const tyf_smp_command tyf_management_fs_commands[TYF_MANAGEMENT_FS_COMMANDS];
extern const tyf_smp_command tyf_management_enum_commands[TYF_MANAGEMENT_ENUM_COMMANDS];

/* clang-format off */
#define TYF_MANAGEMENT_GROUP(name, NAME)                                                                               \
    {TYF_SMP_GROUP_##NAME, TYF_MANAGEMENT_##NAME##_COMMANDS, #name, tyf_management_##name##_commands}
#ifdef TYF_BOARD_AREA_SLOT_0_BYTES
#define TYF_MANAGEMENT_SLOT_GROUPS TYF_MANAGEMENT_GROUP(image, IMAGE),
#else
#define TYF_MANAGEMENT_SLOT_GROUPS
#endif
#ifdef TYF_BOARD_AREA_SETTINGS_0_BYTES
#define TYF_MANAGEMENT_SETTINGS_GROUPS TYF_MANAGEMENT_GROUP(settings, SETTINGS),
#else
#define TYF_MANAGEMENT_SETTINGS_GROUPS
#endif

/** Entries for a registry's table of groups: those that the board has the means for. */
#define TYF_MANAGEMENT_GROUPS                                                                                          \
    TYF_MANAGEMENT_GROUP(os, OS),                                                                                      \
    TYF_MANAGEMENT_SLOT_GROUPS                                                                                         \
    TYF_MANAGEMENT_GROUP(stat, STAT),                                                                                  \
    TYF_MANAGEMENT_SETTINGS_GROUPS                                                                                     \
    TYF_MANAGEMENT_GROUP(fs, FS),                                                                                      \
    TYF_MANAGEMENT_GROUP(enum, ENUM)
/* clang-format on */

/** Forget what was begun; once a start, before the first request. */
void tyf_management_start(void);

#endif
