/* A NOR flash in RAM that holds its rules, and whose power can be cut before, in the middle of or after any operation.
 */

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "tyf/port/flash.h"

#define PAGE TYF_BOARD_NVM_PAGE_BYTES
#define UNIT TYF_BOARD_NVM_UNIT_BYTES
#define UNITS (TYF_BOARD_NVM_BYTES / UNIT)

enum { BEFORE, TORN, AFTER };

static uint8_t memory[TYF_BOARD_NVM_BYTES];
static bool is_programmed[UNITS], is_damaged[UNITS];
static uint32_t operations, cut_at, cut_how;
static bool is_on;

uint32_t nor_violations;

void nor_new(void);
void nor_power_on(uint32_t operation, uint32_t how);
bool nor_is_on(void);
uint32_t nor_operations(void);
void nor_put(uint32_t offset, const uint8_t *data, uint32_t bytes);

void nor_new(void) {
    memset(memory, 0xff, sizeof memory);
    memset(is_programmed, 0, sizeof is_programmed);
    memset(is_damaged, 0, sizeof is_damaged);
    nor_violations = 0;
}

/* Power will fail at this operation, counted from 1; never for 0. */
void nor_power_on(uint32_t operation, uint32_t how) {
    operations = 0;
    cut_at = operation;
    cut_how = how;
    is_on = true;
}

bool nor_is_on(void) {
    return is_on;
}

uint32_t nor_operations(void) {
    return operations;
}

/* As a programmer on the bench writes it. */
void nor_put(uint32_t offset, const uint8_t *data, uint32_t bytes) {
    memcpy(memory + offset, data, bytes);
    for (uint32_t i = offset / UNIT; i <= (offset + bytes - 1) / UNIT; i++) {
        is_programmed[i] = true;
    }
}

/* How much of this operation happens, in halves. */
static uint32_t halves(void) {
    operations++;
    if (!is_on) {
        return 0;
    }
    if (operations != cut_at) {
        return 2;
    }
    is_on = false;
    return cut_how;
}

tyf_status tyf_port_flash_erase(uint32_t address) {
    uint32_t offset = address - TYF_BOARD_NVM_BASE;
    if (offset >= sizeof memory || offset % PAGE != 0) {
        nor_violations++;
        return TYF_ERR_STATE;
    }
    uint32_t bytes = PAGE / 2 * halves();
    memset(memory + offset, 0xff, bytes);
    memset(is_programmed + offset / UNIT, 0, bytes / UNIT);
    memset(is_damaged + offset / UNIT, 0, bytes / UNIT);
    return is_on ? TYF_OK : TYF_ERR_STATE;
}

tyf_status tyf_port_flash_program(uint32_t address, const uint32_t *words, uint32_t bytes) {
    uint32_t offset = address - TYF_BOARD_NVM_BASE;
    if (offset >= sizeof memory || bytes > sizeof memory - offset || offset % UNIT != 0 || bytes != UNIT ||
        is_programmed[offset / UNIT]) {
        nor_violations++;
        return TYF_ERR_STATE;
    }
    uint32_t done = halves();
    memcpy(memory + offset, words, UNIT / 2 * done);
    is_programmed[offset / UNIT] = done > 0;
    is_damaged[offset / UNIT] = done == 1;
    return is_on ? TYF_OK : TYF_ERR_STATE;
}

tyf_status tyf_port_flash_read(uint32_t address, void *data, uint32_t bytes) {
    uint32_t offset = address - TYF_BOARD_NVM_BASE;
    if (offset >= sizeof memory || bytes > sizeof memory - offset) {
        nor_violations++;
        return TYF_ERR_STATE;
    }
    memcpy(data, memory + offset, bytes);
    bool has_check_bits = UNIT == 16; /* as an STM32U5 */
    for (uint32_t i = offset / UNIT; has_check_bits && bytes > 0 && i <= (offset + bytes - 1) / UNIT; i++) {
        if (is_damaged[i]) {
            return TYF_ERR_STATE;
        }
    }
    return TYF_OK;
}
