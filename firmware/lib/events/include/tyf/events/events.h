/**
 * A log of what was done to a board, and of what it did by itself: the last TYF_CFG_EVENTS entries, in memory that
 * outlasts a reset and not a loss of power. docs/spec/events.md draws the bytes.
 *
 *     tyf_events_start(identity.boot_id);                                     // once a boot
 *     tyf_event(&(tyf_event_facts){.kind = TYF_EVENT_MODEL, .subject = place << 8 | phase, .result = status});
 *     const uint8_t *log = tyf_events_read(&bytes);                           // for a host
 *
 * What happens again right after itself is counted, and takes no entry of its own: a stream of refused requests does
 * not push out what was before it. In thread mode only.
 */
#ifndef TYF_EVENTS_EVENTS_H
#define TYF_EVENTS_EVENTS_H

#include <stdint.h>

#include "tyf/core/config.h"
#include "tyf/core/wire.h"

/** What an entry holds of an event; wire.h names kinds, docs/spec/events.md what the other fields mean. */
typedef struct {
    uint8_t kind;
    uint8_t trust;
    uint16_t subject;
    uint8_t detail;
    int8_t result;
} tyf_event_facts;

/** Go on with the log that is there, or begin one, and note the boot itself. Before the crash record is forgotten. */
void tyf_events_start(uint32_t boot_id);

/** Note an event. */
void tyf_event(const tyf_event_facts *facts);

/** The log as it is: entries of TYF_EVENT_BYTES, in no order; those with a wrong CRC are none. */
const uint8_t *tyf_events_read(uint32_t *bytes);

#endif
