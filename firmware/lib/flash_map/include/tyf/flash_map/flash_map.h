/**
 * The areas of flash that outlive a restart, by their names in the board's manifest (docs/spec/board.md). An area may
 * hold anything before it is erased for the first time: a reader takes what is not valid as empty, a writer erases
 * first. Not for interrupts.
 *
 *     for (uint32_t at = 0; at < tyf_area_bytes(TYF_AREA_MODEL_0); at += TYF_FLASH_PAGE_BYTES) {
 *         if (tyf_area_erase(TYF_AREA_MODEL_0, at) != TYF_OK) ...
 *     }
 *     tyf_area_program(TYF_AREA_MODEL_0, 0, package, package_bytes);
 *     const uint8_t *package = tyf_area_data(TYF_AREA_MODEL_0);
 */
#ifndef TYF_FLASH_MAP_FLASH_MAP_H
#define TYF_FLASH_MAP_FLASH_MAP_H

#include <stdint.h>

#include "tyf/core/wire.h"
#include "tyf/port/flash.h" /* TYF_FLASH_PAGE_BYTES, TYF_FLASH_UNIT_BYTES */

typedef enum {
    TYF_AREA_SLOT_0,
    TYF_AREA_SLOT_1,
    TYF_AREA_MODEL_0,
    TYF_AREA_MODEL_1,
    TYF_AREA_SETTINGS_0,
    TYF_AREA_SETTINGS_1,
    TYF_AREA_COUNTER_0,
    TYF_AREA_COUNTER_1,
    TYF_AREA_CRASH,
    TYF_AREA_COUNT,
} tyf_area;

/** Size of an area, a multiple of a page; 0: this board has none. */
uint32_t tyf_area_bytes(tyf_area area);

/** Address at which the core sees an area, for what is linked to run there; meaningless when it has none. */
uint32_t tyf_area_address(tyf_area area);

/** An area as memory, for reading; NULL: this board has none. Aligned to a page. */
const uint8_t *tyf_area_data(tyf_area area);

/**
 * Copy bytes out of an area: where a power cut may have left a half programmed unit, some chips stop a program that
 * reads it as memory.
 *
 * @return TYF_OK; TYF_ERR_ARG when [offset, offset + bytes) is not inside the area; TYF_ERR_FLASH when the flash knows
 *         that what it holds there is damaged
 */
tyf_status tyf_area_read(tyf_area area, uint32_t offset, void *data, uint32_t bytes);

/**
 * Program erased bytes; they are durable when it returns. A power cut leaves whole units from the begin on, the last
 * of them perhaps half programmed.
 *
 * @param offset  a multiple of a unit
 * @param data    anywhere, of any alignment
 * @param bytes   of any number; the rest of the last unit is programmed as 0xff
 *
 * @return TYF_OK; TYF_ERR_ARG when [offset, offset + bytes) is not inside the area or offset no multiple (nothing is
 *         programmed); TYF_ERR_FLASH when a unit is not erased, or does not hold what was programmed
 */
tyf_status tyf_area_program(tyf_area area, uint32_t offset, const void *data, uint32_t bytes);

/**
 * Erase the page that begins at offset.
 *
 * @return TYF_OK; TYF_ERR_ARG when no page of the area begins there; TYF_ERR_FLASH when it is not erased
 */
tyf_status tyf_area_erase(tyf_area area, uint32_t offset);

#endif
