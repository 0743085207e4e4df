/**
 * A signed model package, read where it lies: a blob in MCUboot's image container with what a device must know before
 * it trusts the blob. docs/spec/model_package.md has each byte.
 *
 *     tyf_model_package package;
 *     if (tyf_model_package_read(&package, slot, slot_bytes) == TYF_OK) {
 *         for (uint32_t i = 0; i < package.vector_count; i++) {
 *             const tyf_model_vector vector = tyf_model_package_vector(&package, i);
 *             ...
 *         }
 *     }
 *
 * Reading says that the bytes are well-formed, not that they are signed: that is the image check's part, and comes
 * first.
 */
#ifndef TYF_MODEL_STORE_PACKAGE_H
#define TYF_MODEL_STORE_PACKAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "tyf/core/wire.h"

/** What a package says. Pointers lead into the bytes that it was read from. */
typedef struct {
    const uint8_t *blob; /**< 16-byte aligned when the package is */
    uint32_t blob_bytes;
    uint32_t signed_bytes;   /**< from the first byte on: header, blob, protected entries */
    uint32_t package_bytes;  /**< of all, the entries with hash and signature included */
    const uint8_t *model_id; /**< [32] */
    uint32_t kernel_abi;
    uint32_t arena_bytes;
    uint32_t input_bytes;
    uint32_t output_bytes;
    uint8_t input_dtype;    /**< a tyf_dtype */
    uint8_t output_dtype;   /**< a tyf_dtype */
    const uint8_t *kernels; /**< ids, u32 little-endian each, ascending */
    uint32_t kernel_count;
    uint32_t vector_count; /**< 1 .. TYF_PACKAGE_VECTORS */
    const uint8_t *vectors;
    const uint8_t *stored_input; /**< [input_bytes]; NULL: none */
} tyf_model_package;

/** An input and the output that it must give. */
typedef struct {
    const uint8_t *stored; /**< [input_bytes]; NULL: the input is made from seed and case_index */
    uint32_t seed;
    uint32_t case_index;
    const uint8_t *output; /**< [output_bytes] of the package, or [32] its SHA-256 */
    bool is_hash;
} tyf_model_vector;

/**
 * Read a package. Entries are taken from the protected area alone.
 *
 * @param[out] package  untouched on error
 * @param[in]  data     must outlive the package and not change
 * @param[in]  bytes    readable from data on; may be more than the package
 *
 * @return TYF_OK; TYF_ERR_FORMAT: malformed or truncated; TYF_ERR_TARGET: a well-formed image, but firmware;
 *         TYF_ERR_VERSION: of a later version
 */
tyf_status tyf_model_package_read(tyf_model_package *package, const uint8_t *data, uint32_t bytes);

/** One golden vector of a package that was read; index < vector_count. */
tyf_model_vector tyf_model_package_vector(const tyf_model_package *package, uint32_t index);

#endif
