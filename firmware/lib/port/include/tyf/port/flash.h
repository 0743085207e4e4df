/**
 * The NOR flash that a board keeps something of its own in: a page is erased to 0xff, and a unit is programmed as a
 * whole, once between two erasures. Page and unit stand in the board's manifest; addresses are those at which the core
 * sees it. Not for interrupts; the core may stand still meanwhile, for up to half a second. Named areas with checks
 * around them: tyf/flash_map/flash_map.h.
 *
 *     tyf_status status = tyf_port_flash_erase(page);
 *     if (status == TYF_OK) {
 *         status = tyf_port_flash_program(page, unit, TYF_FLASH_UNIT_BYTES);
 *     }
 */
#ifndef TYF_PORT_FLASH_H
#define TYF_PORT_FLASH_H

#include <stdint.h>

#include "tyf/core/wire.h"

/* A board without a manifest, which is the host, has its facts in a header. */
#if __has_include("tyf/host_board_facts.h")
#include "tyf/host_board_facts.h"
#endif

/** What is erased at once; a power of two, and a multiple of a unit. 0 on a board that has no flash for this. */
#ifdef TYF_BOARD_NVM_PAGE_BYTES
#define TYF_FLASH_PAGE_BYTES ((uint32_t)TYF_BOARD_NVM_PAGE_BYTES)
#else
#define TYF_FLASH_PAGE_BYTES 0u
#endif

/** What is programmed at once; a power of two, 4 .. 256. 0 on a board that has no flash for this. */
#ifdef TYF_BOARD_NVM_UNIT_BYTES
#define TYF_FLASH_UNIT_BYTES ((uint32_t)TYF_BOARD_NVM_UNIT_BYTES)
#else
#define TYF_FLASH_UNIT_BYTES 0u
#endif

/**
 * Erase the page that begins at address.
 *
 * @return TYF_OK, or TYF_ERR_FLASH when the flash refused
 */
tyf_status tyf_port_flash_erase(uint32_t address);

/**
 * Program erased units; address and bytes are multiples of a unit, words lie in RAM. Read back to know that it held.
 *
 * @return TYF_OK, or TYF_ERR_FLASH when the flash refused; units before the refused one may be programmed
 */
tyf_status tyf_port_flash_program(uint32_t address, const uint32_t *words, uint32_t bytes);

/** @return TYF_OK, or TYF_ERR_FLASH when the flash knows that what it holds there is damaged */
tyf_status tyf_port_flash_read(uint32_t address, void *data, uint32_t bytes);

/** The same bytes as memory, for as long as nothing is erased. @return NULL when they are not all flash */
const uint8_t *tyf_port_flash_memory(uint32_t address, uint32_t bytes);

#endif
