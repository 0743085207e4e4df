/**
 * Where a test build stops as if power had failed: the page of NVM between boot_state_1 and settings_0 says at which
 * operation of the flash, and how much of it still happens; the host that reads `stopped` there kills the emulator.
 *
 *     const uint32_t halves = tyf_mps2_flash_begin();
 *     // that much of the operation
 *     tyf_mps2_flash_end();
 */
#ifndef TYF_BOARDS_MPS2_FLASH_CUT_H
#define TYF_BOARDS_MPS2_FLASH_CUT_H

#include <stdint.h>

#include "tyf/core/config.h"

#define TYF_FLASH_CUT_PAGE_OFFSET 0x3000u
#define TYF_FLASH_CUT_MAGIC 0x43465954u /* "TYFC" */

/** The page, little-endian. The host writes it all before a start. */
typedef struct {
    uint32_t magic;
    uint32_t cut_at; /**< operation, from 1; 0: never */
    uint32_t halves; /**< 0 before it, 1 in its middle, 2 after it */
    uint32_t flow;   /**< of the application: what to do */
    uint32_t operations;
    uint32_t stopped;    /**< 1: as if power had failed */
    uint32_t progress;   /**< of the application: what it was promised */
    uint32_t done;       /**< of the application: 1 when the flow is at its end */
    uint8_t first[16];   /**< of the application: the marker of the image that ran first, when the host wrote zeros */
    uint8_t running[16]; /**< of the application: and of the one that runs */
} tyf_flash_cut_page;

#if TYF_CFG_FLASH_CUT

/** Another operation begins. @return halves of it that happen */
uint32_t tyf_mps2_flash_begin(void);

/** It is at its end; does not return when it was the one to be cut. */
void tyf_mps2_flash_end(void);

#else

static inline uint32_t tyf_mps2_flash_begin(void) {
    return 2;
}

static inline void tyf_mps2_flash_end(void) {
}

#endif

#endif
