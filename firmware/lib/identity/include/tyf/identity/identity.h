/**
 * Who this board is, and the how-manieth start of it this is: from NVM, layout in docs/spec/wire.md.
 *
 *     static tyf_identity identity;
 *     tyf_status status = tyf_identity_start(&identity);
 *     if (status != TYF_OK) ...                                // manage it, but produce no records
 */
#ifndef TYF_IDENTITY_IDENTITY_H
#define TYF_IDENTITY_IDENTITY_H

#include <stdint.h>

#include "tyf/core/wire.h"

/** All zero while there is no identity. */
typedef struct {
    uint8_t device_id[TYF_DEVICE_ID_BYTES];
    uint32_t boot_id;                   /**< >= 1, never used before by this board */
    uint8_t entropy[TYF_ENTROPY_BYTES]; /**< secret seed of this start; never used before either */
} tyf_identity;

/**
 * Read the identity and make the next boot_id durable. Call it once a start, before the first record. The slot that is
 * written is the older or the damaged one: a power cut in between leaves the other.
 *
 * @param[out] identity  all zero unless TYF_OK
 *
 * @return TYF_OK, TYF_ERR_NO_IDENTITY (none that is intact), or TYF_ERR_STATE (NVM does not keep what is written, or
 *         boot_ids are used up)
 */
tyf_status tyf_identity_start(tyf_identity *identity);

#endif
