/* RP2040: the flash is a chip of its own, read as memory over a serial line; the ROM's functions change it. */

#include "tyf/port/flash.h"

#include <string.h>

#include "cortex_m.h"
#include "rp2040.h"

#define FLASH_BEGIN 0x10000000u
#define BLOCK_BYTES 65536u
#define BLOCK_ERASE_COMMAND 0xd8u
#define ROM_TABLE_AT 0x14u  /* halfword: where the table of functions lies */
#define ROM_LOOKUP_AT 0x18u /* halfword: the function that searches it */
#define ROM_CODE(a, b) ((uint32_t)(a) | (uint32_t)(b) << 8)

_Static_assert(TYF_BOARD_NVM_PAGE_BYTES == 4096 && TYF_BOARD_NVM_UNIT_BYTES == 256, "what flash chips have");

/* What flash_change.S calls, in its order. */
typedef struct {
    uint32_t connect, exit_xip, operation, flush_cache, enter_xip;
    uint32_t arguments[4];
    uint32_t ssi;
} tyf_rp2040_flash_call;

_Static_assert(sizeof(tyf_rp2040_flash_call) == 40, "offsets in flash_change.S");

extern const uint32_t tyf_rp2040_flash_change[], tyf_rp2040_flash_change_end[];

/* Assembly: the compiler takes an access near address 0 for a mistake. */
static uint32_t rom_halfword(uint32_t address) {
    uint32_t value;
    __asm volatile("ldrh %0, [%1]" : "=l"(value) : "l"(address));
    return value;
}

static uint32_t rom_function(uint32_t code) {
    uint32_t (*lookup)(uint32_t, uint32_t) = (uint32_t (*)(uint32_t, uint32_t))(uintptr_t)rom_halfword(ROM_LOOKUP_AT);
    return lookup(rom_halfword(ROM_TABLE_AT), code);
}

static tyf_status change(uint32_t operation, uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
    static uint32_t code[24];
    uint32_t code_bytes = (uint32_t)((uintptr_t)tyf_rp2040_flash_change_end - (uintptr_t)tyf_rp2040_flash_change);
    tyf_rp2040_flash_call call = {
        .connect = rom_function(ROM_CODE('I', 'F')),
        .exit_xip = rom_function(ROM_CODE('E', 'X')),
        .operation = rom_function(operation),
        .flush_cache = rom_function(ROM_CODE('F', 'C')),
        .enter_xip = rom_function(ROM_CODE('C', 'X')),
        .arguments = {a, b, c, d},
        .ssi = RP2040_XIP_SSI,
    };
    if (code_bytes > sizeof code || call.connect == 0 || call.exit_xip == 0 || call.operation == 0 ||
        call.flush_cache == 0 || call.enter_xip == 0) {
        return TYF_ERR_FLASH;
    }
    memcpy(code, tyf_rp2040_flash_change, code_bytes);
    void (*run)(const tyf_rp2040_flash_call *) = (void (*)(const tyf_rp2040_flash_call *))((uintptr_t)code | 1u);
    uint32_t masked = tyf_cortex_m_mask();
    __asm volatile("dsb\n isb" ::: "memory");
    run(&call);
    tyf_cortex_m_unmask(masked);
    return TYF_OK;
}

tyf_status tyf_port_flash_erase(uint32_t address) {
    return change(ROM_CODE('R', 'E'), address - FLASH_BEGIN, TYF_BOARD_NVM_PAGE_BYTES, BLOCK_BYTES,
                  BLOCK_ERASE_COMMAND);
}

tyf_status tyf_port_flash_program(uint32_t address, const uint32_t *words, uint32_t bytes) {
    return change(ROM_CODE('R', 'P'), address - FLASH_BEGIN, (uint32_t)(uintptr_t)words, bytes, 0);
}

tyf_status tyf_port_flash_read(uint32_t address, void *data, uint32_t bytes) {
    memcpy(data, (const void *)(uintptr_t)address, bytes);
    return TYF_OK;
}

const uint8_t *tyf_port_flash_memory(uint32_t address, uint32_t bytes) {
    (void)bytes;
    return (const uint8_t *)(uintptr_t)address;
}
