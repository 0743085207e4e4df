/*
 * Non-volatile memory in flash: each area of NVM (identity, boot state 0 and 1) is one page of flash, so that erasing
 * one for its next content leaves the others as they are.
 */

#include "tyf/port/nvm.h"

#include <stdbool.h>
#include <string.h>

#include "tyf/port/flash.h"

/* Areas of NVM are this far apart, whatever the size of a page. */
#define AREA_BYTES (TYF_NVM_BOOT_SLOT0_OFFSET - TYF_NVM_IDENTITY_OFFSET)
#define AREAS 3u
#define UNIT_BYTES TYF_FLASH_UNIT_BYTES

_Static_assert(TYF_NVM_IDENTITY_OFFSET == 0 && TYF_NVM_BOOT_SLOT1_OFFSET == 2 * AREA_BYTES, "areas of equal size");
_Static_assert(AREA_BYTES <= TYF_FLASH_PAGE_BYTES, "an area fits a page");
_Static_assert(AREAS *TYF_FLASH_PAGE_BYTES <= TYF_BOARD_NVM_BYTES, "a page for each area");
_Static_assert(UNIT_BYTES % 4 == 0 && AREA_BYTES % UNIT_BYTES == 0, "whole words, whole units");

static bool is_inside(uint32_t offset, uint32_t bytes) {
    return offset < AREAS * AREA_BYTES && bytes <= AREA_BYTES - offset % AREA_BYTES;
}

static uint32_t address_of(uint32_t offset) {
    return TYF_BOARD_NVM_BASE + offset / AREA_BYTES * TYF_FLASH_PAGE_BYTES + offset % AREA_BYTES;
}

tyf_status tyf_port_nvm_read(uint32_t offset, void *data, uint32_t bytes) {
    if (!is_inside(offset, bytes)) {
        return TYF_ERR_ARG;
    }
    return tyf_port_flash_read(address_of(offset), data, bytes);
}

tyf_status tyf_port_nvm_write(uint32_t offset, const void *data, uint32_t bytes) {
    if (!is_inside(offset, bytes) || offset % AREA_BYTES != 0) {
        return TYF_ERR_ARG;
    }
    uint32_t address = address_of(offset);
    tyf_status status = tyf_port_flash_erase(address);
    for (uint32_t done = 0; done < bytes && status == TYF_OK; done += UNIT_BYTES) {
        uint32_t unit[UNIT_BYTES / 4];
        uint32_t count = bytes - done < UNIT_BYTES ? bytes - done : UNIT_BYTES;
        memset(unit, 0xff, sizeof unit);
        memcpy(unit, (const uint8_t *)data + done, count);
        status = tyf_port_flash_program(address + done, unit, sizeof unit);
        if (status == TYF_OK) {
            status = tyf_port_flash_read(address + done, unit, sizeof unit);
        }
        if (status == TYF_OK && memcmp(unit, (const uint8_t *)data + done, count) != 0) {
            status = TYF_ERR_FLASH;
        }
    }
    return status;
}
