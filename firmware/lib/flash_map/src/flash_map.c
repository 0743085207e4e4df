#include "tyf/flash_map/flash_map.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define PLACE(name) {TYF_BOARD_AREA_##name##_ADDRESS, TYF_BOARD_AREA_##name##_BYTES}

#ifndef TYF_BOARD_AREA_CRASH_BYTES
#define TYF_BOARD_AREA_CRASH_ADDRESS 0
#define TYF_BOARD_AREA_CRASH_BYTES 0
#endif

/* What a board lacks stays 0 bytes. */
static const struct {
    uint32_t address, bytes;
} places[TYF_AREA_COUNT] = {
#ifdef TYF_BOARD_AREA_SLOT_0_BYTES
    [TYF_AREA_SLOT_0] = PLACE(SLOT_0),         [TYF_AREA_SLOT_1] = PLACE(SLOT_1),
#endif
#ifdef TYF_BOARD_AREA_MODEL_0_BYTES
    [TYF_AREA_MODEL_0] = PLACE(MODEL_0),       [TYF_AREA_MODEL_1] = PLACE(MODEL_1),
#endif
#ifdef TYF_BOARD_AREA_SETTINGS_0_BYTES
    [TYF_AREA_SETTINGS_0] = PLACE(SETTINGS_0), [TYF_AREA_SETTINGS_1] = PLACE(SETTINGS_1),
#endif
#ifdef TYF_BOARD_AREA_COUNTER_0_BYTES
    [TYF_AREA_COUNTER_0] = PLACE(COUNTER_0),   [TYF_AREA_COUNTER_1] = PLACE(COUNTER_1),
#endif
    [TYF_AREA_CRASH] = PLACE(CRASH),
};

#if defined(TYF_BOARD_NVM_PAGE_BYTES)

/* So many bytes are handed to the flash at once: each call has its price. */
#define CHUNK_BYTES (TYF_FLASH_UNIT_BYTES > 64u ? TYF_FLASH_UNIT_BYTES : 64u)

_Static_assert(TYF_BOARD_NVM_UNIT_BYTES % 4 == 0 && 256 % TYF_BOARD_NVM_UNIT_BYTES == 0, "whole words, whole chunks");

const uint8_t *tyf_area_data(tyf_area area) {
    return places[area].bytes == 0 ? NULL : tyf_port_flash_memory(places[area].address, places[area].bytes);
}

static bool holds(uint32_t address, const uint32_t *words, uint32_t bytes) {
    uint32_t read[CHUNK_BYTES / 4u];
    return tyf_port_flash_read(address, read, bytes) == TYF_OK && memcmp(read, words, bytes) == 0;
}

static bool is_blank(uint32_t address) {
    const uint32_t *page = (const uint32_t *)(const void *)tyf_port_flash_memory(address, TYF_FLASH_PAGE_BYTES);
    uint32_t all = page == NULL ? 0 : UINT32_MAX;
    for (uint32_t i = 0; all == UINT32_MAX && i < TYF_FLASH_PAGE_BYTES / 4u; i++) {
        all &= page[i];
    }
    return all == UINT32_MAX;
}

tyf_status tyf_area_read(tyf_area area, uint32_t offset, void *data, uint32_t bytes) {
    const uint32_t area_bytes = tyf_area_bytes(area);
    if (offset > area_bytes || bytes > area_bytes - offset) {
        return TYF_ERR_ARG;
    }
    return tyf_port_flash_read(places[area].address + offset, data, bytes);
}

tyf_status tyf_area_program(tyf_area area, uint32_t offset, const void *data, uint32_t bytes) {
    const uint32_t area_bytes = tyf_area_bytes(area);
    if (offset % TYF_FLASH_UNIT_BYTES != 0 || offset > area_bytes || bytes > area_bytes - offset) {
        return TYF_ERR_ARG;
    }
    const uint32_t address = places[area].address + offset;
    tyf_status status = TYF_OK;
    for (uint32_t done = 0; done < bytes && status == TYF_OK; done += CHUNK_BYTES) {
        uint32_t chunk[CHUNK_BYTES / 4u];
        const uint32_t count = bytes - done < CHUNK_BYTES ? bytes - done : CHUNK_BYTES;
        const uint32_t units = (count + TYF_FLASH_UNIT_BYTES - 1u) / TYF_FLASH_UNIT_BYTES;
        memset(chunk, 0xff, sizeof chunk);
        memcpy(chunk, (const uint8_t *)data + done, count);
        status = tyf_port_flash_program(address + done, chunk, units * TYF_FLASH_UNIT_BYTES);
        if (status == TYF_OK && !holds(address + done, chunk, units * TYF_FLASH_UNIT_BYTES)) {
            status = TYF_ERR_FLASH;
        }
    }
    return status;
}

tyf_status tyf_area_erase(tyf_area area, uint32_t offset) {
    if (offset % TYF_FLASH_PAGE_BYTES != 0 || offset >= tyf_area_bytes(area)) {
        return TYF_ERR_ARG;
    }
    const uint32_t address = places[area].address + offset;
    const tyf_status status = tyf_port_flash_erase(address);
    return status == TYF_OK && !is_blank(address) ? TYF_ERR_FLASH : status;
}

#else

const uint8_t *tyf_area_data(tyf_area area) {
    (void)area;
    return NULL;
}

tyf_status tyf_area_read(tyf_area area, uint32_t offset, void *data, uint32_t bytes) {
    (void)area;
    (void)offset;
    (void)data;
    (void)bytes;
    return TYF_ERR_ARG;
}

tyf_status tyf_area_program(tyf_area area, uint32_t offset, const void *data, uint32_t bytes) {
    (void)area;
    (void)offset;
    (void)data;
    (void)bytes;
    return TYF_ERR_ARG;
}

tyf_status tyf_area_erase(tyf_area area, uint32_t offset) {
    (void)area;
    (void)offset;
    return TYF_ERR_ARG;
}

#endif

uint32_t tyf_area_bytes(tyf_area area) {
    return tyf_area_data(area) == NULL ? 0 : places[area].bytes;
}

uint32_t tyf_area_address(tyf_area area) {
    return places[area].address;
}
