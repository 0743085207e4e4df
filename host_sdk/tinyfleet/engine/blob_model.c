/* The entry of the library that opens blobs. */
#include <stdint.h>

#include "tyf/model/blob.h"

#include "blob_model.h"

uint32_t tyf_engine_handle_bytes(void) {
    return sizeof(tyf_blob);
}

int32_t tyf_engine_open(void *handle, const uint8_t *blob, uint64_t bytes) {
    return tyf_blob_open(handle, &tyf_kernels, blob, (size_t)bytes, SIZE_MAX);
}

int32_t tyf_engine_is_intact(const void *handle) {
    return tyf_blob_is_intact(handle);
}
