/**
 * A flash in RAM that holds the rules of NOR flash, counts what is done to it, and can lose power before, in the middle
 * of or after any operation. An operation is the erasure of a page or the programming of a unit.
 *
 *     tyf_host_flash_open(memory, sizeof memory);
 *     tyf_host_flash_cut(17, TYF_HOST_FLASH_TORN);
 *     if (!tyf_host_flash_run(confirm, NULL)) ...       // power failed within; memory is what is left
 */
#ifndef TYF_HOST_FLASH_H
#define TYF_HOST_FLASH_H

#include <stdbool.h>
#include <stdint.h>

/** What of the operation at which power fails still happens. */
typedef enum {
    TYF_HOST_FLASH_BEFORE, /**< nothing */
    TYF_HOST_FLASH_TORN,   /**< a part: the first half, or by tyf_host_flash_tear() one that chance chose */
    TYF_HOST_FLASH_AFTER,  /**< all; the program does not hear of it */
} tyf_host_flash_cut_at;

/**
 * Power on, over memory that stays the caller's; address TYF_BOARD_NVM_BASE is its first byte. A unit in it that is not
 * blank was programmed. A cut that was planned stays planned.
 *
 * @param bytes  of any number up to TYF_BOARD_NVM_BYTES; what lies outside is no flash
 */
void tyf_host_flash_open(uint8_t *memory, uint32_t bytes);

/** Power on again, over the memory of last time: what was programmed or damaged is known, also where no byte shows it.
 */
void tyf_host_flash_power_on(void);

/** Power will fail at an operation, counted from 1 from now on, once; 0: never. */
void tyf_host_flash_cut(uint32_t operation, tyf_host_flash_cut_at how);

/** From now on a torn operation leaves what chance leaves, repeatable by the seed; 0: the first half. */
void tyf_host_flash_tear(uint32_t seed);

/**
 * Run work until it returns or power fails in it.
 *
 * @return whether it returned with the power on. Else what it had in mind is lost, as on a board.
 */
bool tyf_host_flash_run(void (*work)(void *), void *argument);

/** Whether power is on. Without tyf_host_flash_run(), a program goes on after a cut, and the flash refuses all. */
bool tyf_host_flash_is_on(void);

/** Operations since tyf_host_flash_cut(). */
uint32_t tyf_host_flash_operations(void);

/** What the program did against the rules since tyf_host_flash_open(): a unit programmed twice, a wrong alignment, a
 * place that is no flash. Each was refused. */
uint32_t tyf_host_flash_violations(void);

#endif
