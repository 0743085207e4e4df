/**
 * The chip's NOR flash, on boards that keep something of their own in it: a page is erased to 0xff, and a unit is
 * programmed once between two erasures. Page and unit stand in the board's manifest (TYF_BOARD_NVM_PAGE_BYTES,
 * TYF_BOARD_NVM_UNIT_BYTES); addresses are those at which the core sees it. Not for interrupts; the core may stand
 * still meanwhile, for up to half a second.
 *
 *     tyf_status status = tyf_port_flash_erase(page);
 *     if (status == TYF_OK) {
 *         status = tyf_port_flash_program(page, unit, TYF_BOARD_NVM_UNIT_BYTES);
 *     }
 */
#ifndef TYF_PORT_FLASH_H
#define TYF_PORT_FLASH_H

#include <stdint.h>

#include "tyf/core/wire.h"

/**
 * Erase the page that begins at address.
 *
 * @return TYF_OK, or TYF_ERR_STATE when the flash refused
 */
tyf_status tyf_port_flash_erase(uint32_t address);

/**
 * Program erased units; address and bytes are multiples of a unit, words lie in RAM. Read back to know that it held.
 *
 * @return TYF_OK, or TYF_ERR_STATE when the flash refused
 */
tyf_status tyf_port_flash_program(uint32_t address, const uint32_t *words, uint32_t bytes);

/** @return TYF_OK, or TYF_ERR_STATE when the flash knows that what it holds there is damaged */
tyf_status tyf_port_flash_read(uint32_t address, void *data, uint32_t bytes);

#endif
