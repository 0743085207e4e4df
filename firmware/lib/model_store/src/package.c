#include "tyf/model_store/package.h"

#include <stddef.h>

#include "tyf/core/bytes.h"
#include "tyf/core/sha256.h"

#define TLV_HEAD_BYTES 4u
#define KERNEL_BYTES 4u

/* The entries of an area, found by kind; each kind at most once. */
typedef struct {
    const uint8_t *data; /* the area's first entry */
    uint32_t bytes;
} entries;

typedef struct {
    const uint8_t *data; /* NULL: there is none */
    uint32_t bytes;
} entry;

/* False when the entries do not fill their area exactly, or one kind of ours is there twice. */
static bool are_entries(const entries *all) {
    uint32_t seen = 0;
    uint32_t at = 0;
    while (at < all->bytes) {
        if (all->bytes - at < TLV_HEAD_BYTES) {
            return false;
        }
        const uint32_t kind = tyf_get_u16_le(all->data + at), bytes = tyf_get_u16_le(all->data + at + 2);
        at += TLV_HEAD_BYTES;
        if (bytes > all->bytes - at) {
            return false;
        }
        if (kind >= TYF_PACKAGE_TLV_FACTS && kind <= TYF_PACKAGE_TLV_STORED_INPUT) {
            const uint32_t bit = 1u << (kind - TYF_PACKAGE_TLV_FACTS);
            if ((seen & bit) != 0) {
                return false;
            }
            seen |= bit;
        }
        at += bytes;
    }
    return true;
}

/* Of entries that fill their area. */
static entry find(const entries *all, uint32_t kind) {
    for (uint32_t at = 0; at < all->bytes;) {
        const uint8_t *head = all->data + at;
        const uint32_t bytes = tyf_get_u16_le(head + 2);
        if (tyf_get_u16_le(head) == kind) {
            return (entry){head + TLV_HEAD_BYTES, bytes};
        }
        at += TLV_HEAD_BYTES + bytes;
    }
    return (entry){NULL, 0};
}

static bool read_facts(tyf_model_package *package, const uint8_t *facts) {
    package->input_dtype = facts[TYF_FACTS_INPUT_DTYPE_OFFSET];
    package->output_dtype = facts[TYF_FACTS_OUTPUT_DTYPE_OFFSET];
    package->kernel_abi = tyf_get_u32_le(facts + TYF_FACTS_KERNEL_ABI_OFFSET);
    package->arena_bytes = tyf_get_u32_le(facts + TYF_FACTS_ARENA_BYTES_OFFSET);
    package->input_bytes = tyf_get_u32_le(facts + TYF_FACTS_INPUT_BYTES_OFFSET);
    package->output_bytes = tyf_get_u32_le(facts + TYF_FACTS_OUTPUT_BYTES_OFFSET);
    package->model_id = facts + TYF_FACTS_MODEL_ID_OFFSET;
    return package->input_bytes != 0 && package->output_bytes != 0;
}

static bool read_kernels(tyf_model_package *package, entry kernels) {
    package->kernels = kernels.data;
    package->kernel_count = kernels.bytes / KERNEL_BYTES;
    if (kernels.data == NULL || kernels.bytes % KERNEL_BYTES != 0) {
        return false;
    }
    for (uint32_t i = 1; i < package->kernel_count; i++) {
        const uint8_t *id = kernels.data + (size_t)KERNEL_BYTES * i;
        if (tyf_get_u32_le(id) <= tyf_get_u32_le(id - KERNEL_BYTES)) {
            return false;
        }
    }
    return true;
}

static bool read_vectors(tyf_model_package *package, entry golden) {
    package->vectors = golden.data;
    package->vector_count = 0;
    for (uint32_t at = 0; at < golden.bytes; package->vector_count++) {
        const uint8_t *vector = golden.data + at;
        if (golden.bytes - at < TYF_VECTOR_HEAD_BYTES || package->vector_count == TYF_PACKAGE_VECTORS) {
            return false;
        }
        at += TYF_VECTOR_HEAD_BYTES;
        const uint32_t bytes = tyf_get_u16_le(vector + TYF_VECTOR_OUTPUT_BYTES_OFFSET);
        const bool is_stored = vector[TYF_VECTOR_INPUT_OFFSET] == TYF_VECTOR_INPUT_STORED;
        const bool is_hash = vector[TYF_VECTOR_OUTPUT_OFFSET] == TYF_VECTOR_OUTPUT_SHA256;
        const uint32_t most = package->output_bytes;
        if (bytes > golden.bytes - at || (!is_stored && vector[TYF_VECTOR_INPUT_OFFSET] != TYF_VECTOR_INPUT_SEEDED) ||
            (!is_hash && vector[TYF_VECTOR_OUTPUT_OFFSET] != TYF_VECTOR_OUTPUT_WHOLE) ||
            (is_hash ? bytes != TYF_SHA256_BYTES : bytes != most || bytes > TYF_VECTOR_MOST_OUTPUT_BYTES) ||
            (is_stored && package->stored_input == NULL)) {
            return false;
        }
        at += bytes;
    }
    return package->vector_count != 0;
}

/* The entries of an area with its head, at most `bytes` large. */
static bool open_area(entries *all, const uint8_t *data, uint32_t bytes, uint32_t magic) {
    if (bytes < TLV_HEAD_BYTES || tyf_get_u16_le(data) != magic) {
        return false;
    }
    const uint32_t total = tyf_get_u16_le(data + 2);
    if (total < TLV_HEAD_BYTES || total > bytes) {
        return false;
    }
    *all = (entries){data + TLV_HEAD_BYTES, total - TLV_HEAD_BYTES};
    return are_entries(all);
}

tyf_status tyf_model_package_read(tyf_model_package *package, const uint8_t *data, uint32_t bytes) {
    if (bytes < TYF_IMAGE_HEADER_BYTES || tyf_get_u32_le(data) != TYF_IMAGE_MAGIC) {
        return TYF_ERR_FORMAT;
    }
    if ((tyf_get_u32_le(data + TYF_IMAGE_FLAGS_OFFSET) & TYF_IMAGE_FLAG_NON_BOOTABLE) == 0) {
        return TYF_ERR_TARGET;
    }
    const uint32_t body = tyf_get_u32_le(data + TYF_IMAGE_BODY_BYTES_OFFSET);
    const uint32_t protected_bytes = tyf_get_u16_le(data + TYF_IMAGE_PROTECTED_BYTES_OFFSET);
    const uint32_t room = bytes - TYF_IMAGE_HEADER_BYTES;
    if (tyf_get_u16_le(data + TYF_IMAGE_HEADER_BYTES_OFFSET) != TYF_IMAGE_HEADER_BYTES || body > room ||
        protected_bytes > room - body) {
        return TYF_ERR_FORMAT;
    }
    tyf_model_package read = {
        .blob = data + TYF_IMAGE_HEADER_BYTES,
        .blob_bytes = body,
        .signed_bytes = TYF_IMAGE_HEADER_BYTES + body + protected_bytes,
    };
    entries ours, others;
    const uint8_t *area = read.blob + body;
    if (!open_area(&ours, area, protected_bytes, TYF_IMAGE_PROTECTED_MAGIC) ||
        ours.bytes != protected_bytes - TLV_HEAD_BYTES ||
        !open_area(&others, area + protected_bytes, room - body - protected_bytes, TYF_IMAGE_TLV_MAGIC)) {
        return TYF_ERR_FORMAT;
    }
    read.package_bytes = read.signed_bytes + TLV_HEAD_BYTES + others.bytes;
    const entry facts = find(&ours, TYF_PACKAGE_TLV_FACTS);
    if (facts.bytes < TYF_FACTS_INPUT_DTYPE_OFFSET) {
        return TYF_ERR_FORMAT;
    }
    if (tyf_get_u16_le(facts.data) != TYF_PACKAGE_VERSION) {
        return TYF_ERR_VERSION;
    }
    if (facts.bytes != TYF_PACKAGE_FACTS_BYTES || !read_facts(&read, facts.data)) {
        return TYF_ERR_FORMAT;
    }
    const entry stored = find(&ours, TYF_PACKAGE_TLV_STORED_INPUT);
    read.stored_input = stored.data;
    if ((stored.data != NULL && (stored.bytes != read.input_bytes || stored.bytes > TYF_PACKAGE_STORED_INPUT_BYTES)) ||
        !read_kernels(&read, find(&ours, TYF_PACKAGE_TLV_KERNELS)) ||
        !read_vectors(&read, find(&ours, TYF_PACKAGE_TLV_GOLDEN))) {
        return TYF_ERR_FORMAT;
    }
    *package = read;
    return TYF_OK;
}

tyf_model_vector tyf_model_package_vector(const tyf_model_package *package, uint32_t index) {
    const uint8_t *vector = package->vectors;
    for (uint32_t i = 0; i < index; i++) {
        vector += TYF_VECTOR_HEAD_BYTES + tyf_get_u16_le(vector + TYF_VECTOR_OUTPUT_BYTES_OFFSET);
    }
    return (tyf_model_vector){
        .stored = vector[TYF_VECTOR_INPUT_OFFSET] == TYF_VECTOR_INPUT_STORED ? package->stored_input : NULL,
        .seed = tyf_get_u32_le(vector + TYF_VECTOR_SEED_OFFSET),
        .case_index = tyf_get_u32_le(vector + TYF_VECTOR_CASE_OFFSET),
        .output = vector + TYF_VECTOR_HEAD_BYTES,
        .is_hash = vector[TYF_VECTOR_OUTPUT_OFFSET] == TYF_VECTOR_OUTPUT_SHA256,
    };
}
