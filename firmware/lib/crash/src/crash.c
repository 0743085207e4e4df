#include "tyf/crash/crash.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "tyf/core/bytes.h"
#include "tyf/core/crc.h"
#include "tyf/flash_map/flash_map.h"
#include "tyf/port/crash.h"

#if defined(TYF_BOARD_AREA_CRASH_BYTES)

/*
 * A log in the area: entries of equal size, each a record and the number of its crash. The next one goes where nothing
 * is yet; when a page is full, the other one is erased. A power cut leaves at worst an entry that does not count.
 */
#define NUMBER_BYTES 8u /* u32 number, u32 its complement */
#define ENTRY_UNITS ((TYF_CRASH_BYTES + NUMBER_BYTES + TYF_FLASH_UNIT_BYTES - 1u) / TYF_FLASH_UNIT_BYTES)
#define ENTRY_BYTES (ENTRY_UNITS * TYF_FLASH_UNIT_BYTES)
#define PAGES 2u
#define PAGE_ENTRIES (TYF_FLASH_PAGE_BYTES / ENTRY_BYTES)

static uint32_t offset_of(uint32_t page, uint32_t entry) {
    return page * TYF_FLASH_PAGE_BYTES + entry * ENTRY_BYTES;
}

static const uint8_t *entry_at(uint32_t page, uint32_t entry) {
    return tyf_area_data(TYF_AREA_CRASH) + offset_of(page, entry);
}

static uint32_t number_of(const uint8_t *entry) {
    return tyf_get_u32_le(entry + TYF_CRASH_BYTES);
}

static bool is_intact(const uint8_t *entry) {
    return tyf_get_u32_le(entry + TYF_CRASH_MAGIC_OFFSET) == TYF_CRASH_MAGIC &&
           tyf_get_u32_le(entry + TYF_CRASH_CRC_OFFSET) == tyf_crc32(0, entry, TYF_CRASH_CRC_OFFSET) &&
           number_of(entry) == ~tyf_get_u32_le(entry + TYF_CRASH_BYTES + 4u);
}

static bool is_blank(const uint8_t *entry) {
    for (uint32_t i = 0; i < ENTRY_BYTES; i++) {
        if (entry[i] != 0xffu) {
            return false;
        }
    }
    return true;
}

static bool has_area(void) {
    return tyf_area_bytes(TYF_AREA_CRASH) >= PAGES * TYF_FLASH_PAGE_BYTES;
}

/* The entry with the highest number, and the page that it lies in; NULL: none. */
static const uint8_t *newest(uint32_t *page) {
    const uint8_t *found = NULL;
    for (uint32_t p = 0; p < PAGES; p++) {
        for (uint32_t i = 0; i < PAGE_ENTRIES; i++) {
            const uint8_t *entry = entry_at(p, i);
            if (is_intact(entry) && (found == NULL || number_of(entry) > number_of(found))) {
                found = entry;
                *page = p;
            }
        }
    }
    return found;
}

/* Program an entry behind all others of the page of the newest, or with is_forced at the begin of the other page. */
static tyf_status append(const uint8_t *entry, bool is_forced) {
    uint32_t page = PAGES - 1u;
    uint32_t free = PAGE_ENTRIES;
    if (newest(&page) != NULL && !is_forced) {
        while (free > 0 && is_blank(entry_at(page, free - 1u))) {
            free--;
        }
    }
    uint32_t offset = offset_of(page, free);
    if (free == PAGE_ENTRIES) {
        offset = offset_of(1u - page, 0);
        const tyf_status status = tyf_area_erase(TYF_AREA_CRASH, offset);
        if (status != TYF_OK) {
            return status;
        }
    }
    return tyf_area_program(TYF_AREA_CRASH, offset, entry, TYF_CRASH_BYTES + NUMBER_BYTES);
}

static tyf_status keep(const uint8_t *record) {
    uint32_t page = 0;
    const uint8_t *last = newest(&page);
    if (last != NULL && memcmp(last, record, TYF_CRASH_BYTES) == 0) {
        return TYF_OK; /* kept before power was cut */
    }
    const uint32_t number = last == NULL ? 0u : number_of(last) + 1u;
    uint8_t entry[TYF_CRASH_BYTES + NUMBER_BYTES];
    memcpy(entry, record, TYF_CRASH_BYTES);
    tyf_put_u32_le(entry + TYF_CRASH_BYTES, number);
    tyf_put_u32_le(entry + TYF_CRASH_BYTES + 4u, ~number);
    /* A unit that power failed in may look blank and yet refuse. */
    return append(entry, false) == TYF_OK ? TYF_OK : append(entry, true);
}

#else

static bool has_area(void) {
    return false;
}

static tyf_status keep(const uint8_t *record) {
    (void)record;
    return TYF_OK;
}

static const uint8_t *newest(uint32_t *page) {
    (void)page;
    return NULL;
}

#endif

tyf_status tyf_crash_start(void) {
    const uint8_t *record = tyf_port_crash_record();
    const tyf_status status = record == NULL || !has_area() ? TYF_OK : keep(record);
    if (status == TYF_OK && has_area()) {
        tyf_port_crash_forget();
    }
    return status;
}

const uint8_t *tyf_crash_read(uint32_t *bytes) {
    uint32_t page = 0;
    const uint8_t *record = tyf_port_crash_record();
    if (record == NULL && has_area()) {
        record = newest(&page);
    }
    *bytes = record != NULL ? TYF_CRASH_BYTES : 0u;
    return record;
}
