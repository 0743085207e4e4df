/*
 * STM32U5 flash: quad-words of 16 bytes are programmed, pages of 8 KiB erased. Each quad-word carries check bits; one
 * that a power cut left half written raises an NMI when it is read, which must not look like a fault of the program.
 */

#include "tyf/port/flash.h"

#include <stdbool.h>
#include <string.h>

#include "cortex_m.h"
#include "fault.h"

#define FLASH_NSKEYR TYF_REGISTER(TYF_BOARD_FLASH_BASE + 0x08u)
#define FLASH_NSSR TYF_REGISTER(TYF_BOARD_FLASH_BASE + 0x20u)
#define FLASH_NSCR TYF_REGISTER(TYF_BOARD_FLASH_BASE + 0x28u)
#define FLASH_ECCR TYF_REGISTER(TYF_BOARD_FLASH_BASE + 0x30u)
#define ICACHE_CR TYF_REGISTER(TYF_BOARD_ICACHE_BASE + 0x00u)
#define ICACHE_SR TYF_REGISTER(TYF_BOARD_ICACHE_BASE + 0x04u)

#define KEY_1 0x45670123u
#define KEY_2 0xcdef89abu
#define NSSR_ERRORS 0x000020fau /* OPERR, PROGERR, WRPERR, PGAERR, SIZERR, PGSERR, OPTWERR; cleared by writing 1 */
#define NSSR_BSY (1u << 16)
#define NSSR_WDW (1u << 17) /* data waits to be written */
#define NSCR_PG (1u << 0)
#define NSCR_PER (1u << 1)
#define NSCR_PNB(page) ((page) << 3)
#define NSCR_BKER (1u << 11)
#define NSCR_STRT (1u << 16)
#define NSCR_LOCK (1u << 31)
#define ECCR_ECCD (1u << 31) /* more wrong bits than can be corrected */
#define ICACHE_CACHEINV (1u << 1)
#define ICACHE_BUSYF (1u << 0)

#define FLASH_BEGIN 0x08000000u
#define BANK_BYTES 0x00100000u
#define PAGE_BYTES 8192u

_Static_assert(TYF_BOARD_NVM_PAGE_BYTES == PAGE_BYTES && TYF_BOARD_NVM_UNIT_BYTES == 16, "what this flash has");

static volatile bool is_reading, is_damaged;

__attribute__((used)) bool tyf_stm32_take_flash_error(void);

__attribute__((used)) bool tyf_stm32_take_flash_error(void) {
    if (!is_reading || !(FLASH_ECCR & ECCR_ECCD)) {
        return false;
    }
    FLASH_ECCR = ECCR_ECCD;
    is_damaged = true;
    return true;
}

/* Takes the place of the fault handler for an NMI, and calls it for one that is not ours, with its registers intact. */
__attribute__((naked)) void NMI_Handler(void) {
    __asm volatile("push {r4, lr}\n"
                   "bl tyf_stm32_take_flash_error\n"
                   "pop {r4, lr}\n"
                   "cmp r0, #0\n"
                   "bne 1f\n"
                   "ldr r0, =Fault_Handler\n"
                   "bx r0\n"
                   "1: bx lr\n"
                   ".ltorg\n");
}

static tyf_status finish(void) {
    while (FLASH_NSSR & (NSSR_BSY | NSSR_WDW)) {
    }
    tyf_status status = FLASH_NSSR & NSSR_ERRORS ? TYF_ERR_FLASH : TYF_OK;
    tyf_cortex_m_nvm_close();
    FLASH_NSCR = NSCR_LOCK;
    ICACHE_CR = ICACHE_CR | ICACHE_CACHEINV; /* it holds data of the flash as well */
    while (ICACHE_SR & ICACHE_BUSYF) {
    }
    return status;
}

static void unlock(void) {
    tyf_cortex_m_nvm_open();
    if (FLASH_NSCR & NSCR_LOCK) {
        FLASH_NSKEYR = KEY_1;
        FLASH_NSKEYR = KEY_2;
    }
    FLASH_NSSR = NSSR_ERRORS;
}

tyf_status tyf_port_flash_erase(uint32_t address) {
    uint32_t offset = address - FLASH_BEGIN;
    uint32_t page = NSCR_PNB(offset % BANK_BYTES / PAGE_BYTES) | (offset < BANK_BYTES ? 0u : NSCR_BKER);
    unlock();
    FLASH_NSCR = NSCR_PER | page;
    FLASH_NSCR = NSCR_PER | page | NSCR_STRT;
    return finish();
}

tyf_status tyf_port_flash_program(uint32_t address, const uint32_t *words, uint32_t bytes) {
    unlock();
    FLASH_NSCR = NSCR_PG;
    for (uint32_t i = 0; i < bytes / 4u; i++) {
        TYF_REGISTER(address + 4u * i) = words[i];
        while (i % 4u == 3u && FLASH_NSSR & (NSSR_BSY | NSSR_WDW)) {
        }
    }
    return finish();
}

tyf_status tyf_port_flash_read(uint32_t address, void *data, uint32_t bytes) {
    is_damaged = false;
    is_reading = true;
    memcpy(data, (const void *)(uintptr_t)address, bytes);
    __asm volatile("dsb" ::: "memory"); /* an error of the last bytes shall arrive before the next line */
    is_reading = false;
    return is_damaged ? TYF_ERR_FLASH : TYF_OK;
}

const uint8_t *tyf_port_flash_memory(uint32_t address, uint32_t bytes) {
    (void)bytes;
    return (const uint8_t *)(uintptr_t)address;
}
