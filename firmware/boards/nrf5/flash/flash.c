/* nRF5 NVMC: words are written, pages are erased; the core stands still meanwhile. */

#include "tyf/port/flash.h"

#include <string.h>

#include "cortex_m.h"

#define READY TYF_REGISTER(TYF_BOARD_FLASH_BASE + 0x400u)
#define CONFIG TYF_REGISTER(TYF_BOARD_FLASH_BASE + 0x504u)
#define ERASE_PAGE TYF_REGISTER(TYF_BOARD_FLASH_BASE + 0x508u) /* ERASEPAGE */

#define CONFIG_READ 0u  /* Ren */
#define CONFIG_WRITE 1u /* Wen */
#define CONFIG_ERASE 2u /* Een */

static void wait_until_ready(void) {
    while (!(READY & 1u)) {
    }
}

tyf_status tyf_port_flash_erase(uint32_t address) {
    CONFIG = CONFIG_ERASE;
    wait_until_ready();
    ERASE_PAGE = address;
    wait_until_ready();
    CONFIG = CONFIG_READ;
    wait_until_ready();
    return TYF_OK;
}

tyf_status tyf_port_flash_program(uint32_t address, const uint32_t *words, uint32_t bytes) {
    CONFIG = CONFIG_WRITE;
    wait_until_ready();
    for (uint32_t i = 0; i < bytes / 4u; i++) {
        TYF_REGISTER(address + 4u * i) = words[i];
        wait_until_ready();
    }
    CONFIG = CONFIG_READ;
    wait_until_ready();
    return TYF_OK;
}

tyf_status tyf_port_flash_read(uint32_t address, void *data, uint32_t bytes) {
    memcpy(data, (const void *)(uintptr_t)address, bytes);
    return TYF_OK;
}

const uint8_t *tyf_port_flash_memory(uint32_t address, uint32_t bytes) {
    (void)bytes;
    return (const uint8_t *)(uintptr_t)address;
}
