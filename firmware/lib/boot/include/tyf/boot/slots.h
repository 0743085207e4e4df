/**
 * The two update slots and what is to run: MCUboot's direct-XIP with revert, on the trailers of the slots. Every
 * change is a write that a power cut may end anywhere; docs/spec/image.md says what is true at each point.
 *
 *     tyf_boot_erase(slot, offset); tyf_boot_program(slot, offset, data, bytes);    // an upload into the other slot
 *     tyf_status status = tyf_boot_mark_test(slot);                                 // then reset, and within it:
 *     status = tyf_boot_confirm();                                                  // else the next start reverts
 *
 * The bootloader:
 *
 *     uint32_t slot;
 *     if (tyf_boot_choose(&slot) == TYF_OK) ...
 *
 * A slot is written only while another one that is confirmed runs, so that there is always one to fall back to.
 */
#ifndef TYF_BOOT_SLOTS_H
#define TYF_BOOT_SLOTS_H

#include <stdbool.h>
#include <stdint.h>

#include "tyf/boot/image.h"
#include "tyf/core/wire.h"

#define TYF_BOOT_SLOTS 2u
#define TYF_BOOT_NO_SLOT UINT32_MAX

/** What a slot and its trailer say. */
typedef struct {
    bool is_image;     /**< there is an image, with a structure that can be read; nobody has checked it */
    tyf_image image;   /**< of it */
    bool is_requested; /**< its trailer was written by a request, or at the factory */
    bool is_tried;     /**< and it was started once */
    bool is_confirmed; /**< and it confirmed itself */
    bool is_active;    /**< it runs */
    uint32_t order;    /**< rises with each request; 0: none */
} tyf_boot_slot;

/** What firmware or a model must be on this board, with the room for the keys. */
typedef struct {
    tyf_image_wanted wanted;
    uint8_t keys[2][TYF_ED25519_KEY_BYTES];
    tyf_image_version firmware;
} tyf_boot_trust;

/** Whether this board has slots. */
bool tyf_boot_has_slots(void);

/** Slot that the running program lies in; TYF_BOOT_NO_SLOT for one that started without a bootloader. */
uint32_t tyf_boot_active(void);

/** Most bytes of an image: the last page is the trailer's. 0: this board has no slots. */
uint32_t tyf_boot_capacity(void);

/** Read a slot; slot < TYF_BOOT_SLOTS. */
void tyf_boot_read(uint32_t slot, tyf_boot_slot *state);

/** What an image must be to run in that slot. wanted points into trust, which must stay where it is. */
void tyf_boot_trust_firmware(uint32_t slot, tyf_boot_trust *trust);

/** What a model package must be on this board; as above. */
void tyf_boot_trust_model(tyf_boot_trust *trust);

/**
 * Erase a page of the slot that does not run; its trailer first, whatever page is asked for, so that it is not started
 * half written.
 *
 * @return TYF_OK; TYF_ERR_ARG; TYF_ERR_STATE: it runs, or what runs is not confirmed and this is its way back;
 *         TYF_ERR_FLASH
 */
tyf_status tyf_boot_erase(uint32_t slot, uint32_t offset);

/**
 * Program bytes of an image into erased pages of the slot that does not run.
 *
 * @return as tyf_boot_erase(); also TYF_ERR_STATE when its trailer is not erased, TYF_ERR_ARG beyond the capacity
 */
tyf_status tyf_boot_program(uint32_t slot, uint32_t offset, const void *data, uint32_t bytes);

/**
 * Have the image in the other slot started once, at the next reset. Checks all of it first, which takes about 40
 * instructions a byte.
 *
 * @return TYF_OK, also when it is asked for already; TYF_ERR_STATE as tyf_boot_erase(); TYF_ERR_FLASH; what
 *         tyf_image_check() says of the image
 */
tyf_status tyf_boot_mark_test(uint32_t slot);

/**
 * Keep the running image: from now on it is started at every reset. Then its security counter and keys are recorded.
 *
 * @return TYF_OK, also when it is confirmed already; TYF_ERR_STATE: what runs is in no slot; TYF_ERR_FLASH
 */
tyf_status tyf_boot_confirm(void);

/**
 * For the bootloader: what to start. An image that is to be tried is marked as tried before; of those confirmed the one
 * asked for last is next, and its security counter is recorded if a power cut left that out.
 *
 * @param[out] slot
 *
 * @return TYF_OK, or TYF_ERR_STATE: no slot holds an image that may run
 */
tyf_status tyf_boot_choose(uint32_t *slot);

#endif
