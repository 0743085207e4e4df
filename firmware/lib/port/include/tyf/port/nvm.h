/**
 * Non-volatile memory, byte-addressed from 0; layout in docs/spec/wire.md.
 *
 *     uint8_t slot[TYF_NVM_BOOT_BYTES];
 *     tyf_status status = tyf_port_nvm_read(TYF_NVM_BOOT_SLOT0_OFFSET, slot, sizeof slot);
 */
#ifndef TYF_PORT_NVM_H
#define TYF_PORT_NVM_H

#include <stdint.h>

#include "tyf/core/wire.h"

/**
 * @return TYF_OK; TYF_ERR_ARG when [offset, offset + bytes) is not inside the memory (with data untouched), or not
 * inside one area where each area is a page of flash; or TYF_ERR_FLASH when the memory is damaged there
 */
tyf_status tyf_port_nvm_read(uint32_t offset, void *data, uint32_t bytes);

/**
 * Write, durably when it returns. A power cut may leave any part of the range written. Where each area is a page of
 * flash, offset is the begin of an area, and the rest of that area is lost.
 *
 * @return TYF_OK, TYF_ERR_ARG (range), or TYF_ERR_FLASH when the memory does not hold the bytes afterwards
 */
tyf_status tyf_port_nvm_write(uint32_t offset, const void *data, uint32_t bytes);

#endif
