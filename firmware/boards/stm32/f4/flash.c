/* STM32F4 flash: words are programmed, sectors erased; the core stands still when it needs the flash meanwhile. */

#include "tyf/port/flash.h"

#include <string.h>

#include "cortex_m.h"

#define FLASH_ACR TYF_REGISTER(TYF_BOARD_FLASH_BASE + 0x00u)
#define FLASH_KEYR TYF_REGISTER(TYF_BOARD_FLASH_BASE + 0x04u)
#define FLASH_SR TYF_REGISTER(TYF_BOARD_FLASH_BASE + 0x0cu)
#define FLASH_CR TYF_REGISTER(TYF_BOARD_FLASH_BASE + 0x10u)

#define ACR_DCEN (1u << 10)
#define ACR_DCRST (1u << 12)
#define KEY_1 0x45670123u
#define KEY_2 0xcdef89abu
#define SR_ERRORS 0x000000f2u /* OPERR, WRPERR, PGAERR, PGPERR, PGSERR; cleared by writing 1 */
#define SR_BSY (1u << 16)
#define CR_PG (1u << 0)
#define CR_SER (1u << 1)
#define CR_SNB(sector) ((sector) << 3)
#define CR_PSIZE_WORD (2u << 8) /* needs 2.7 V or more */
#define CR_STRT (1u << 16)
#define CR_LOCK (1u << 31)

#define FLASH_BEGIN 0x08000000u
#define SMALL_SECTOR_BYTES 16384u /* sectors 0 to 3 */

_Static_assert(TYF_BOARD_NVM_PAGE_BYTES == SMALL_SECTOR_BYTES, "a sector is a page");
_Static_assert(TYF_BOARD_NVM_BASE >= FLASH_BEGIN + SMALL_SECTOR_BYTES, "sector 0 holds the boot block");
_Static_assert(TYF_BOARD_NVM_BASE + TYF_BOARD_NVM_BYTES <= FLASH_BEGIN + 4 * SMALL_SECTOR_BYTES, "the small sectors");

static tyf_status finish(void) {
    while (FLASH_SR & SR_BSY) {
    }
    tyf_status status = FLASH_SR & SR_ERRORS ? TYF_ERR_FLASH : TYF_OK;
    FLASH_CR = CR_LOCK;
    /* The data cache may hold what was there before; it can be emptied only while it is off. */
    FLASH_ACR = FLASH_ACR & ~ACR_DCEN;
    FLASH_ACR = FLASH_ACR | ACR_DCRST;
    FLASH_ACR = FLASH_ACR & ~ACR_DCRST;
    FLASH_ACR = FLASH_ACR | ACR_DCEN;
    return status;
}

static void unlock(void) {
    if (FLASH_CR & CR_LOCK) {
        FLASH_KEYR = KEY_1;
        FLASH_KEYR = KEY_2;
    }
    FLASH_SR = SR_ERRORS;
}

tyf_status tyf_port_flash_erase(uint32_t address) {
    unlock();
    uint32_t erase = CR_SER | CR_SNB((address - FLASH_BEGIN) / SMALL_SECTOR_BYTES) | CR_PSIZE_WORD;
    FLASH_CR = erase;
    FLASH_CR = erase | CR_STRT;
    return finish();
}

tyf_status tyf_port_flash_program(uint32_t address, const uint32_t *words, uint32_t bytes) {
    unlock();
    FLASH_CR = CR_PG | CR_PSIZE_WORD;
    for (uint32_t i = 0; i < bytes / 4u; i++) {
        TYF_REGISTER(address + 4u * i) = words[i];
        while (FLASH_SR & SR_BSY) {
        }
    }
    return finish();
}

tyf_status tyf_port_flash_read(uint32_t address, void *data, uint32_t bytes) {
    memcpy(data, (const void *)(uintptr_t)address, bytes);
    return TYF_OK;
}

const uint8_t *tyf_port_flash_memory(uint32_t address, uint32_t bytes) {
    (void)bytes;
    return (const uint8_t *)(uintptr_t)address;
}
