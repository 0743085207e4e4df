/*
 * Flash in software: a range of RAM that the emulator keeps in a file, held to the rules of NOR flash. A unit that is
 * not blank is taken for one that was programmed.
 */

#include "tyf/port/flash.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "cortex_m.h"
#include "flash_cut.h"

#define UNIT_WORDS (TYF_FLASH_UNIT_BYTES / 4u)

static bool is_inside(uint32_t address, uint32_t bytes) {
    uint32_t offset = address - TYF_BOARD_NVM_BASE;
    return offset <= TYF_BOARD_NVM_BYTES && bytes <= TYF_BOARD_NVM_BYTES - offset;
}

static bool is_blank(const uint32_t *words) {
    uint32_t all = UINT32_MAX;
    for (uint32_t i = 0; i < UNIT_WORDS; i++) {
        all &= words[i];
    }
    return all == UINT32_MAX;
}

tyf_status tyf_port_flash_erase(uint32_t address) {
    if (!is_inside(address, TYF_FLASH_PAGE_BYTES) || address % TYF_FLASH_PAGE_BYTES != 0) {
        return TYF_ERR_FLASH;
    }
    uint32_t *page = (uint32_t *)(uintptr_t)address;
    tyf_cortex_m_nvm_open();
    tyf_cortex_m_fill(page, page + TYF_FLASH_PAGE_BYTES / 8u * tyf_mps2_flash_begin(), UINT32_MAX);
    tyf_mps2_flash_end();
    __asm volatile("dsb" ::: "memory");
    tyf_cortex_m_nvm_close();
    return TYF_OK;
}

tyf_status tyf_port_flash_program(uint32_t address, const uint32_t *words, uint32_t bytes) {
    if (!is_inside(address, bytes) || address % TYF_FLASH_UNIT_BYTES != 0 || bytes % TYF_FLASH_UNIT_BYTES != 0) {
        return TYF_ERR_FLASH;
    }
    uint32_t *unit = (uint32_t *)(uintptr_t)address;
    tyf_status status = TYF_OK;
    tyf_cortex_m_nvm_open();
    for (uint32_t i = 0; i < bytes / 4u && status == TYF_OK; i += UNIT_WORDS) {
        if (is_blank(unit + i)) {
            memcpy(unit + i, words + i, TYF_FLASH_UNIT_BYTES / 2u * tyf_mps2_flash_begin());
            tyf_mps2_flash_end();
        } else {
            status = TYF_ERR_FLASH;
        }
    }
    __asm volatile("dsb" ::: "memory");
    tyf_cortex_m_nvm_close();
    return status;
}

tyf_status tyf_port_flash_read(uint32_t address, void *data, uint32_t bytes) {
    if (!is_inside(address, bytes)) {
        return TYF_ERR_FLASH;
    }
    memcpy(data, (const void *)(uintptr_t)address, bytes);
    return TYF_OK;
}

const uint8_t *tyf_port_flash_memory(uint32_t address, uint32_t bytes) {
    return is_inside(address, bytes) ? (const uint8_t *)(uintptr_t)address : NULL;
}
