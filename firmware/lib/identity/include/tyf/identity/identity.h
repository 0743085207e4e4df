/**
 * Who this board is and which boot this is, from non-volatile memory (docs/spec/wire.md, NVM v1).
 *
 *     tyf_identity identity;
 *     if (tyf_identity_start(&identity) == TYF_OK) {
 *         // identity.boot_id is durable and was never used before
 *     }
 */
#ifndef TYF_IDENTITY_IDENTITY_H
#define TYF_IDENTITY_IDENTITY_H

#include <stdint.h>

#include "tyf/core/wire.h"

typedef struct {
    uint8_t device_id[TYF_DEVICE_ID_BYTES]; /**< all zero when the board has none */
    uint32_t boot_id;                       /**< from 1; 0 when the board has no identity */
} tyf_identity;

/**
 * Read the identity and count this boot, durably. Call once a boot, before the first record.
 *
 * @return TYF_OK; TYF_ERR_NO_IDENTITY when the area is not intact (identity is then all zero); TYF_ERR_STATE when the
 *         boot cannot be made durable (boot_id is then 0: no record may be produced)
 */
tyf_status tyf_identity_start(tyf_identity *identity);

#endif
