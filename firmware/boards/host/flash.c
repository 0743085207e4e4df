#include <setjmp.h>
#include <stddef.h>
#include <string.h>

#include "tyf/host_flash.h"
#include "tyf/port/flash.h"

#define PAGE TYF_FLASH_PAGE_BYTES
#define UNIT TYF_FLASH_UNIT_BYTES

enum { PROGRAMMED = 1, DAMAGED = 2 };

static uint8_t *memory;
static uint32_t memory_bytes;
static uint8_t units[TYF_BOARD_NVM_BYTES / UNIT]; /* of each, the bits above */
static uint32_t operations, violations, cut_operation, tear_seed;
static tyf_host_flash_cut_at cut_how;
static bool is_on, is_running;
static jmp_buf end_of_power;
static uint8_t blank[PAGE];

void tyf_host_flash_open(uint8_t *flash, uint32_t bytes) {
    memory = flash;
    memory_bytes = bytes < TYF_BOARD_NVM_BYTES ? bytes : TYF_BOARD_NVM_BYTES;
    memset(blank, 0xff, sizeof blank);
    for (uint32_t i = 0; i < sizeof units && i * UNIT < memory_bytes; i++) {
        const uint32_t count = memory_bytes - i * UNIT < UNIT ? memory_bytes - i * UNIT : UNIT;
        units[i] = memcmp(memory + i * UNIT, blank, count) == 0 ? 0 : PROGRAMMED;
    }
    violations = 0;
    is_on = true;
}

void tyf_host_flash_power_on(void) {
    is_on = true;
}

void tyf_host_flash_cut(uint32_t operation, tyf_host_flash_cut_at how) {
    operations = 0;
    cut_operation = operation;
    cut_how = how;
}

void tyf_host_flash_tear(uint32_t seed) {
    tear_seed = seed;
}

bool tyf_host_flash_run(void (*work)(void *), void *argument) {
    if (setjmp(end_of_power) == 0) {
        is_running = true;
        work(argument);
    }
    is_running = false;
    return is_on;
}

bool tyf_host_flash_is_on(void) {
    return is_on;
}

uint32_t tyf_host_flash_operations(void) {
    return operations;
}

uint32_t tyf_host_flash_violations(void) {
    return violations;
}

/* xorshift32 */
static uint32_t chance(void) {
    tear_seed ^= tear_seed << 13;
    tear_seed ^= tear_seed >> 17;
    tear_seed ^= tear_seed << 5;
    return tear_seed;
}

/* Of an operation that takes count bytes of the flash to new ones, what is there when it was torn. Programming goes
 * from the first byte on and stops within one; erasing sets bits everywhere. */
static void tear(uint8_t *bytes, const uint8_t *wanted, uint32_t count) {
    if (tear_seed == 0) {
        memcpy(bytes, wanted, count / 2u);
        return;
    }
    if (wanted[0] == 0xff && count == PAGE) {
        for (uint32_t i = 0; i < count; i++) {
            bytes[i] |= (uint8_t)(chance() | chance() | chance());
        }
        return;
    }
    uint32_t whole = chance() % count;
    memcpy(bytes, wanted, whole);
    bytes[whole] &= (uint8_t)(wanted[whole] | chance());
}

static tyf_status refuse(void) {
    violations++;
    return TYF_ERR_FLASH;
}

static bool is_inside(uint32_t offset, uint32_t bytes) {
    return offset <= memory_bytes && bytes <= memory_bytes - offset;
}

/* One operation: count bytes at offset become the wanted ones, unless power fails. */
static tyf_status operate(uint32_t offset, const uint8_t *wanted, uint32_t count, uint8_t state) {
    operations++;
    const bool is_cut = operations == cut_operation;
    const tyf_host_flash_cut_at extent = is_cut ? cut_how : TYF_HOST_FLASH_AFTER;
    if (extent == TYF_HOST_FLASH_TORN) {
        tear(memory + offset, wanted, count);
        memset(units + offset / UNIT, PROGRAMMED | DAMAGED, count / UNIT);
    } else if (extent == TYF_HOST_FLASH_AFTER) {
        memcpy(memory + offset, wanted, count);
        memset(units + offset / UNIT, state, count / UNIT);
    }
    if (!is_cut) {
        return TYF_OK;
    }
    is_on = false;
    cut_operation = 0;
    if (is_running) {
        longjmp(end_of_power, 1);
    }
    return TYF_ERR_FLASH;
}

tyf_status tyf_port_flash_erase(uint32_t address) {
    const uint32_t offset = address - TYF_BOARD_NVM_BASE;
    if (!is_on) {
        return TYF_ERR_FLASH;
    }
    if (!is_inside(offset, PAGE) || offset % PAGE != 0) {
        return refuse();
    }
    return operate(offset, blank, PAGE, 0);
}

tyf_status tyf_port_flash_program(uint32_t address, const uint32_t *words, uint32_t bytes) {
    const uint32_t offset = address - TYF_BOARD_NVM_BASE;
    if (!is_on) {
        return TYF_ERR_FLASH;
    }
    if (!is_inside(offset, bytes) || offset % UNIT != 0 || bytes % UNIT != 0) {
        return refuse();
    }
    tyf_status status = TYF_OK;
    for (uint32_t done = 0; done < bytes && status == TYF_OK; done += UNIT) {
        /* A unit that looks blank after a cut may be marginal, which no program can know: then it is taken as blank. */
        const bool is_blank = memcmp(memory + offset + done, blank, UNIT) == 0;
        const uint8_t unit = units[(offset + done) / UNIT];
        if (!is_blank || unit == PROGRAMMED) {
            return refuse();
        }
        status = operate(offset + done, (const uint8_t *)words + done, UNIT, PROGRAMMED);
    }
    return status;
}

tyf_status tyf_port_flash_read(uint32_t address, void *data, uint32_t bytes) {
    const uint32_t offset = address - TYF_BOARD_NVM_BASE;
    if (!is_inside(offset, bytes)) {
        return refuse();
    }
    memcpy(data, memory + offset, bytes);
    const bool has_check_bits = UNIT == 16; /* as an STM32U5 */
    for (uint32_t i = offset / UNIT; has_check_bits && bytes > 0 && i <= (offset + bytes - 1u) / UNIT; i++) {
        if (units[i] & DAMAGED) {
            return TYF_ERR_FLASH;
        }
    }
    return TYF_OK;
}

const uint8_t *tyf_port_flash_memory(uint32_t address, uint32_t bytes) {
    const uint32_t offset = address - TYF_BOARD_NVM_BASE;
    return is_inside(offset, bytes) ? memory + offset : NULL;
}
