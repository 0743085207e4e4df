/**
 * How far a file came that is being sent into an area of flash, so that it goes on there after a restart or a power
 * cut.
 *
 *     tyf_transfer file = {.area = slot, .bytes = total, .sha256 = ...};
 *     if (!tyf_transfer_goes_on(".upload", &file, &off)) {    begin: nothing may be believed of what is overwritten now
 *         if (!tyf_transfer_forget(".upload")) return TYF_ERR_FLASH;
 *         erase, ...
 *     }
 *     ... program; then, as often as off passes a multiple of TYF_TRANSFER_MARK_BYTES:
 *     file.off = multiple;
 *     tyf_transfer_mark(".upload", &file);
 *
 * A mark is believed, so it comes after the bytes before it are programmed, and goes before any of them changes.
 */
#ifndef TYF_SETTINGS_TRANSFER_H
#define TYF_SETTINGS_TRANSFER_H

#include <stdbool.h>
#include <stdint.h>

#include "tyf/core/config.h"
#include "tyf/core/sha256.h"
#include "tyf/port/flash.h"

/** A restart costs a transfer at most so many bytes, and those of one chunk. Whole pages: behind a mark they are
 * erased. */
#define TYF_TRANSFER_MARK_BYTES                                                                                        \
    ((uint32_t)TYF_FLASH_PAGE_BYTES > TYF_CFG_TRANSFER_MARK_BYTES ? (uint32_t)TYF_FLASH_PAGE_BYTES                     \
                                                                  : TYF_CFG_TRANSFER_MARK_BYTES)

/** A file on its way. */
typedef struct {
    uint32_t area;  /**< where it goes, a number of the caller's */
    uint32_t bytes; /**< of the whole file */
    uint32_t off;   /**< bytes of it that are in flash for good */
    uint8_t sha256[TYF_SHA256_BYTES];
} tyf_transfer;

/** @return whether key holds a mark of exactly this file and area; then *off is where it goes on, > 0; untouched else
 */
bool tyf_transfer_goes_on(const char *key, const tyf_transfer *file, uint32_t *off);

/** Keep it durably. Where that fails a restart costs more, and nothing else. */
void tyf_transfer_mark(const char *key, const tyf_transfer *file);

/** @return whether there is no mark under the key any more; false: the flash refused, so nothing may be overwritten */
bool tyf_transfer_forget(const char *key);

#endif
