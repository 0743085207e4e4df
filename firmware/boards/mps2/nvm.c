/* Non-volatile memory: a range of RAM that the emulator keeps in a file. */

#include "tyf/port/nvm.h"

#include <stdbool.h>
#include <string.h>

static uint8_t *const memory = (uint8_t *)TYF_BOARD_NVM_BASE;

static bool is_inside(uint32_t offset, uint32_t bytes) {
    return offset <= TYF_BOARD_NVM_BYTES && bytes <= TYF_BOARD_NVM_BYTES - offset;
}

tyf_status tyf_port_nvm_read(uint32_t offset, void *data, uint32_t bytes) {
    if (!is_inside(offset, bytes)) {
        return TYF_ERR_ARG;
    }
    memcpy(data, memory + offset, bytes);
    return TYF_OK;
}

tyf_status tyf_port_nvm_write(uint32_t offset, const void *data, uint32_t bytes) {
    if (!is_inside(offset, bytes)) {
        return TYF_ERR_ARG;
    }
    memcpy(memory + offset, data, bytes);
    __asm volatile("dsb" ::: "memory");
    return memcmp(memory + offset, data, bytes) == 0 ? TYF_OK : TYF_ERR_STATE;
}
