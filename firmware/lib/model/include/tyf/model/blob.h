/**
 * A model as one binary, run from flash by the same kernels as generated C. docs/spec/blob.md has each byte.
 *
 *     static tyf_blob blob;
 *     static _Alignas(16) uint8_t arena[ARENA_BYTES];
 *
 *     if (tyf_blob_open(&blob, &tyf_kernels, slot, slot_bytes, sizeof arena) == TYF_OK) {
 *         memcpy(arena + blob.model.input_offset, window, blob.model.input_bytes);
 *         tyf_model_run(&blob.model, arena, NULL, NULL);
 *     }
 *
 * tyf_kernels is the generated table of kernels that the program has (kernel_table.h).
 */
#ifndef TYF_MODEL_BLOB_H
#define TYF_MODEL_BLOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tyf/core/config.h"
#include "tyf/core/wire.h"
#include "tyf/model/kernel_table.h"
#include "tyf/model/model.h"

/** An open blob. All but `model` is private. */
typedef struct {
    tyf_model model; /**< first, so that run() finds the rest */
    tyf_frontend frontend;
    const uint8_t *data;
    uint32_t steps_offset;
    uint32_t step_count;
    const tyf_kernel *kernels[TYF_CFG_BLOB_KERNELS];
} tyf_blob;

/**
 * Check a blob, so that running it need not: whatever its bytes are, a blob that opens reads and writes only itself and
 * its arena. Damage that leaves it harmless is not found; see tyf_blob_is_intact().
 *
 * @param[out] blob         handle to fill; untouched on error
 * @param[in]  kernels      what a blob may call; must outlive the handle
 * @param[in]  data         the blob, 16-byte aligned; must not change and must outlive the handle
 * @param[in]  bytes        readable from data on; may be more than the blob
 * @param[in]  arena_bytes  what the caller has for blob->model.arena_bytes
 *
 * @return TYF_OK; TYF_ERR_ARG: data is not aligned; TYF_ERR_FORMAT: malformed; TYF_ERR_VERSION: of a later version, or
 *         or asking for kernels that are not in the table; TYF_ERR_ARENA: asks for more; TYF_ERR_TOO_LARGE: uses more
 * than TYF_CFG_BLOB_KERNELS different kernels
 */
tyf_status tyf_blob_open(tyf_blob *blob, const tyf_kernel_table *kernels, const void *data, size_t bytes,
                         size_t arena_bytes);

/** Whether an opened blob's checksum is right: about nine instructions a byte, to be asked once after a transfer. */
bool tyf_blob_is_intact(const tyf_blob *blob);

#endif
