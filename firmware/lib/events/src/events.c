#include "tyf/events/events.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "tyf/core/bytes.h"
#include "tyf/core/crc.h"
#include "tyf/core/divide.h"
#include "tyf/port/crash.h"
#include "tyf/port/system.h"
#include "tyf/port/time.h"

#if TYF_CFG_EVENTS > 0

#define MOST_REPEATS 0xffffu
#define MOST_RESETS 127u
/* What makes two events the same: boot, kind, trust, subject, detail, result. */
#define FACTS_OFFSET TYF_EVENT_SUBJECT_OFFSET
#define FACTS_BYTES (TYF_EVENT_CRC_OFFSET - FACTS_OFFSET)

static struct {
    uint32_t boot_id;
    uint32_t next;   /* number of the next entry */
    uint8_t *newest; /* NULL: there is none of this boot */
} state;

static bool is_intact(const uint8_t *entry) {
    return tyf_get_u32_le(entry + TYF_EVENT_CRC_OFFSET) == tyf_crc32(0, entry, TYF_EVENT_CRC_OFFSET);
}

/* An entry that a reset interrupts is none; all others stay. */
static void seal(uint8_t *entry, uint32_t repeats) {
    const uint64_t uptime_ms = tyf_divide_u64(tyf_port_uptime_us(), 1000u);
    tyf_put_u32_le(entry + TYF_EVENT_UPTIME_MS_OFFSET, uptime_ms < UINT32_MAX ? (uint32_t)uptime_ms : UINT32_MAX);
    tyf_put_u16_le(entry + TYF_EVENT_REPEATS_OFFSET, (uint16_t)repeats);
    tyf_put_u32_le(entry + TYF_EVENT_CRC_OFFSET, tyf_crc32(0, entry, TYF_EVENT_CRC_OFFSET));
}

void tyf_event(const tyf_event_facts *facts) {
    uint8_t entry[TYF_EVENT_BYTES];
    tyf_put_u32_le(entry + TYF_EVENT_NUMBER_OFFSET, state.next);
    tyf_put_u32_le(entry + TYF_EVENT_BOOT_ID_OFFSET, state.boot_id);
    entry[TYF_EVENT_KIND_OFFSET] = facts->kind;
    entry[TYF_EVENT_TRUST_OFFSET] = facts->trust;
    tyf_put_u16_le(entry + TYF_EVENT_SUBJECT_OFFSET, facts->subject);
    entry[TYF_EVENT_DETAIL_OFFSET] = facts->detail;
    entry[TYF_EVENT_RESULT_OFFSET] = (uint8_t)facts->result;
    if (state.newest != NULL && memcmp(state.newest + FACTS_OFFSET, entry + FACTS_OFFSET, FACTS_BYTES) == 0 &&
        memcmp(state.newest + TYF_EVENT_KIND_OFFSET, entry + TYF_EVENT_KIND_OFFSET, 2) == 0) {
        const uint32_t repeats = tyf_get_u16_le(state.newest + TYF_EVENT_REPEATS_OFFSET);
        seal(state.newest, repeats < MOST_REPEATS ? repeats + 1u : repeats);
        return;
    }
    uint32_t bytes;
    state.newest = tyf_port_kept(&bytes) + (size_t)(state.next % TYF_CFG_EVENTS) * TYF_EVENT_BYTES;
    memcpy(state.newest, entry, sizeof entry);
    seal(state.newest, 0);
    state.next++;
}

static void note_boot(void) {
    const uint8_t *crash = tyf_port_crash_record();
    const uint32_t resets = tyf_port_resets();
    tyf_event(&(tyf_event_facts){
        .kind = TYF_EVENT_BOOT,
        .subject = crash != NULL ? TYF_BOOT_CRASH
                   : resets != 0 ? TYF_BOOT_RESET
                                 : TYF_BOOT_POWER_ON,
        .detail = crash != NULL ? (uint8_t)tyf_get_u32_le(crash + TYF_CRASH_WHY_OFFSET) : 0,
        .result = (int8_t)(resets < MOST_RESETS ? resets : MOST_RESETS),
    });
}

void tyf_events_start(uint32_t boot_id) {
    uint32_t bytes;
    const uint8_t *log = tyf_port_kept(&bytes);
    state.boot_id = boot_id;
    state.next = 0;
    state.newest = NULL;
    for (uint32_t at = 0; at + TYF_EVENT_BYTES <= bytes; at += TYF_EVENT_BYTES) {
        const uint32_t number = tyf_get_u32_le(log + at + TYF_EVENT_NUMBER_OFFSET);
        if (is_intact(log + at) && number >= state.next) {
            state.next = number + 1u;
        }
    }
    note_boot();
}

const uint8_t *tyf_events_read(uint32_t *bytes) {
    return tyf_port_kept(bytes);
}

#else

void tyf_events_start(uint32_t boot_id) {
    (void)boot_id;
}

void tyf_event(const tyf_event_facts *facts) {
    (void)facts;
}

const uint8_t *tyf_events_read(uint32_t *bytes) {
    *bytes = 0;
    return NULL;
}

#endif
