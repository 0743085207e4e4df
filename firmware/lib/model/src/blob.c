#include "tyf/model/blob.h"

#include <string.h>

#include "contract.h"
#include "tyf/core/bytes.h"
#include "tyf/core/crc.h"

/* Kernels read parameters and tables in place, as the host packed them. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "blobs are little-endian");

#define WORD 4u

/* What the checks need to know: where the blob ends and where the arena does. */
typedef struct {
    const uint8_t *data;
    uint32_t bytes;
    uint32_t arena_bytes;
} bounds;

static bool is_inside(uint32_t limit, uint32_t offset, uint32_t bytes) {
    return offset <= limit && bytes <= limit - offset;
}

static bool is_table(const bounds *b, uint32_t offset, uint32_t bytes) {
    return offset >= TYF_BLOB_HEADER_BYTES && offset % WORD == 0 && is_inside(b->bytes, offset, bytes);
}

static uint32_t field(const bounds *b, uint32_t offset) {
    return tyf_get_u32_le(b->data + offset);
}

static uint32_t dtype_bytes(uint8_t dtype) {
    switch (dtype) {
    case TYF_DTYPE_INT8:
    case TYF_DTYPE_UINT8:
    case TYF_DTYPE_BOOL:
        return 1;
    case TYF_DTYPE_INT16:
        return 2;
    case TYF_DTYPE_INT32:
    case TYF_DTYPE_FLOAT32:
        return 4;
    case TYF_DTYPE_INT64:
        return 8;
    default:
        return 0;
    }
}

/* A tensor that is handed in or out: in the arena, aligned and whole. */
static bool is_tensor(const bounds *b, uint8_t dtype, uint32_t offset, uint32_t bytes) {
    const uint32_t size = dtype_bytes(dtype);
    return size != 0 && bytes != 0 && offset % size == 0 && bytes % size == 0 &&
           is_inside(b->arena_bytes, offset, bytes);
}

/* Printable, so that it may become text anywhere. */
static bool is_name(const bounds *b, uint32_t offset) {
    for (uint32_t i = 0; i <= TYF_BLOB_NAME_BYTES && is_inside(b->bytes, offset, i + 1u); i++) {
        const uint8_t c = b->data[offset + i];
        if (c == 0) {
            return true;
        }
        if (c < 0x20 || c > 0x7E) {
            return false;
        }
    }
    return false;
}

static bool read_frontend(const bounds *b, uint32_t offset, uint32_t input_bytes, tyf_frontend *frontend) {
    if (!is_table(b, offset, TYF_BLOB_FRONTEND_BYTES)) {
        return false;
    }
    const uint8_t *p = b->data + offset;
    const uint32_t channels = tyf_get_u16_le(p), window = tyf_get_u16_le(p + 2), hop = tyf_get_u16_le(p + 4);
    if (channels < 1 || channels > 32 || hop < 1 || hop > window || window * channels != input_bytes ||
        !is_table(b, offset, TYF_BLOB_FRONTEND_BYTES + 7u * channels)) {
        return false;
    }
    const uint8_t *tables = p + TYF_BLOB_FRONTEND_BYTES;
    *frontend = (tyf_frontend){
        .offset = (const int16_t *)(const void *)(tables + 4u * channels),
        .multiplier = (const int32_t *)(const void *)tables,
        .shift = (const int8_t *)(tables + 6u * channels),
        .channels = (uint16_t)channels,
        .window_samples = (uint16_t)window,
        .hop_samples = (uint16_t)hop,
        .zero_point = (int8_t)p[6],
    };
    for (uint32_t c = 0; c < channels; c++) {
        if (frontend->shift[c] < -31 || frontend->shift[c] > 13) {
            return false;
        }
    }
    return true;
}

/* States lie in the arena, their first values in the blob. */
static bool are_states(const bounds *b, uint32_t offset, uint32_t count) {
    for (uint32_t i = 0; i < count; i++, offset += TYF_BLOB_STATE_BYTES) {
        if (!is_table(b, offset, TYF_BLOB_STATE_BYTES)) {
            return false;
        }
        const uint32_t bytes = field(b, offset + 4u), value = field(b, offset + 8u);
        if (!is_inside(b->arena_bytes, field(b, offset), bytes) ||
            ((value & TYF_BLOB_FILL) == 0 && !is_inside(b->bytes, value, bytes))) {
            return false;
        }
    }
    return true;
}

static const tyf_kernel *find_kernel(const tyf_kernel_table *table, uint32_t id) {
    uint32_t low = 0, high = table->count;
    while (low < high) {
        const uint32_t middle = (low + high) / 2u;
        if (table->kernels[middle].id == id) {
            return &table->kernels[middle];
        }
        if (table->kernels[middle].id < id) {
            low = middle + 1u;
        } else {
            high = middle;
        }
    }
    return NULL;
}

/* What lies behind an argument, or false when it is not where its kernel wants it. */
static bool locate(const bounds *b, uint32_t word, uint8_t wants, tyf_span *span) {
    *span = (tyf_span){NULL, 0, 0};
    if (word == 0) {
        return (wants & TYF_ARGUMENT_OPTIONAL) != 0;
    }
    const bool in_arena = (word & TYF_BLOB_IN_ARENA) != 0;
    const uint32_t offset = word & ~TYF_BLOB_IN_ARENA;
    const uint32_t limit = in_arena ? b->arena_bytes : b->bytes;
    if ((wants & (in_arena ? TYF_ARGUMENT_IN_BLOB : TYF_ARGUMENT_IN_ARENA)) != 0 || offset >= limit ||
        offset % (1u << (wants & TYF_ARGUMENT_ALIGN_MASK)) != 0) {
        return false;
    }
    span->data = in_arena ? NULL : b->data + offset;
    span->there = limit - offset;
    return true;
}

/* An argument that must be alone shares no byte of the arena with another. */
static bool is_alone(const uint8_t *words, const tyf_span *spans, uint32_t count, uint32_t which) {
    const uint32_t word = tyf_get_u32_le(words + WORD * which);
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t other = tyf_get_u32_le(words + WORD * i);
        if (i != which && (other & TYF_BLOB_IN_ARENA) != 0 && word < other + spans[i].touched &&
            other < word + spans[which].touched) {
            return false;
        }
    }
    return true;
}

static bool is_call(const bounds *b, const tyf_kernel *kernel, const uint8_t *words, uint32_t count) {
    tyf_span spans[TYF_KERNEL_ARGUMENTS];
    if (count != kernel->argument_count) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!locate(b, tyf_get_u32_le(words + WORD * i), kernel->arguments[i], &spans[i])) {
            return false;
        }
    }
    if (spans[0].there < kernel->params_bytes || !tyf_contract_holds(kernel, spans)) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        if ((kernel->arguments[i] & TYF_ARGUMENT_ALONE) != 0 && !is_alone(words, spans, count, i)) {
            return false;
        }
    }
    return true;
}

/* Every step up to the last, each where the one before ends. */
static bool are_steps(const bounds *b, const tyf_blob *blob, uint32_t kernel_count) {
    uint32_t at = blob->steps_offset, layers = 0;
    for (uint32_t step = 0; step < blob->step_count; step++) {
        if (!is_table(b, at, WORD)) {
            return false;
        }
        const uint8_t *p = b->data + at;
        const uint32_t kernel = p[0], count = p[1], flags = p[2];
        const bool ends_layer = (flags & TYF_BLOB_FLAG_LAYER) != 0;
        const uint32_t words = 1u + count + (ends_layer ? 2u : 0u);
        if ((flags & ~TYF_BLOB_FLAG_LAYER) != 0 || p[3] != 0 || !is_table(b, at, WORD * words)) {
            return false;
        }
        if (kernel == TYF_BLOB_NO_KERNEL
                ? count != 0
                : kernel >= kernel_count || !is_call(b, blob->kernels[kernel], p + WORD, count)) {
            return false;
        }
        if (ends_layer) {
            const uint8_t *output = p + WORD + WORD * count;
            if (!is_inside(b->arena_bytes, tyf_get_u32_le(output), tyf_get_u32_le(output + WORD))) {
                return false;
            }
            layers++;
        }
        at += WORD * words;
    }
    return layers == blob->model.layer_count;
}

static void run(const tyf_model *model, uint8_t *arena, tyf_trace_fn trace, void *context) {
    const tyf_blob *blob = (const tyf_blob *)(const void *)model;
    const uint32_t *word = (const uint32_t *)(const void *)(blob->data + blob->steps_offset);
    uint32_t layer = 0;
    for (uint32_t step = blob->step_count; step > 0; step--) {
        const uint32_t head = *word++;
        const uint32_t kernel = head & 0xFFu;
        const uint32_t count = head >> 8 & 0xFFu;
        void *arguments[TYF_KERNEL_ARGUMENTS];
        for (uint32_t i = 0; i < count; i++) {
            const uint32_t offset = *word++;
            /* Kernels write only what lies in the arena. */
            arguments[i] = (offset & TYF_BLOB_IN_ARENA) != 0 ? arena + (offset & ~TYF_BLOB_IN_ARENA)
                           : offset == 0                     ? NULL
                                                             : (void *)(uintptr_t)(blob->data + offset);
        }
        if (kernel != TYF_BLOB_NO_KERNEL) {
            blob->kernels[kernel]->call(arguments);
        }
        if ((head >> 16 & TYF_BLOB_FLAG_LAYER) != 0) {
            if (trace != NULL) {
                trace(context, layer, arena + word[0], word[1]);
            }
            layer++;
            word += 2;
        }
    }
}

static void reset(const tyf_model *model, uint8_t *arena) {
    const tyf_blob *blob = (const tyf_blob *)(const void *)model;
    const uint8_t *state = blob->data + tyf_get_u32_le(blob->data + TYF_BLOB_STATES_OFFSET);
    for (uint32_t i = tyf_get_u32_le(blob->data + TYF_BLOB_STATE_COUNT_OFFSET); i > 0; i--) {
        uint8_t *place = arena + tyf_get_u32_le(state);
        const uint32_t bytes = tyf_get_u32_le(state + 4), value = tyf_get_u32_le(state + 8);
        if ((value & TYF_BLOB_FILL) != 0) {
            memset(place, (int)(value & 0xFFu), bytes);
        } else {
            memcpy(place, blob->data + value, bytes);
        }
        state += TYF_BLOB_STATE_BYTES;
    }
}

tyf_status tyf_blob_open(tyf_blob *blob, const tyf_kernel_table *kernels, const void *data, size_t bytes,
                         size_t arena_bytes) {
    bounds b = {data, 0, 0};
    if ((uintptr_t)data % TYF_BLOB_ALIGNMENT != 0) {
        return TYF_ERR_ARG;
    }
    if (bytes < TYF_BLOB_HEADER_BYTES || field(&b, TYF_BLOB_MAGIC_OFFSET) != TYF_BLOB_MAGIC) {
        return TYF_ERR_FORMAT;
    }
    if (tyf_get_u16_le(b.data + TYF_BLOB_VERSION_OFFSET) != TYF_BLOB_VERSION) {
        return TYF_ERR_VERSION;
    }
    b.bytes = field(&b, TYF_BLOB_BLOB_BYTES_OFFSET);
    b.arena_bytes = field(&b, TYF_BLOB_ARENA_BYTES_OFFSET);
    /* Sizes below 2^31 keep every sum below in 32 bits. */
    if (b.bytes < TYF_BLOB_HEADER_BYTES || b.bytes > bytes || b.bytes > INT32_MAX || b.arena_bytes > INT32_MAX ||
        tyf_get_u16_le(b.data + TYF_BLOB_RESERVED_OFFSET) != 0) {
        return TYF_ERR_FORMAT;
    }
    if (b.arena_bytes > arena_bytes) {
        return TYF_ERR_ARENA;
    }
    const uint32_t name_offset = field(&b, TYF_BLOB_NAME_OFFSET);
    const uint32_t frontend_offset = field(&b, TYF_BLOB_FRONTEND_OFFSET);
    const uint32_t kernels_offset = field(&b, TYF_BLOB_KERNELS_OFFSET);
    const uint32_t state_count = field(&b, TYF_BLOB_STATE_COUNT_OFFSET);
    const uint32_t kernel_count = tyf_get_u16_le(b.data + TYF_BLOB_KERNEL_COUNT_OFFSET);
    tyf_blob opened = {
        .model =
            {
                .model_id = b.data + TYF_BLOB_MODEL_ID_OFFSET,
                .arena_bytes = b.arena_bytes,
                .input_offset = field(&b, TYF_BLOB_INPUT_OFFSET_OFFSET),
                .input_bytes = field(&b, TYF_BLOB_INPUT_BYTES_OFFSET),
                .output_offset = field(&b, TYF_BLOB_OUTPUT_OFFSET_OFFSET),
                .output_bytes = field(&b, TYF_BLOB_OUTPUT_BYTES_OFFSET),
                .layer_count = field(&b, TYF_BLOB_LAYER_COUNT_OFFSET),
                .input_dtype = b.data[TYF_BLOB_INPUT_DTYPE_OFFSET],
                .output_dtype = b.data[TYF_BLOB_OUTPUT_DTYPE_OFFSET],
                .run = run,
                .reset = state_count != 0 ? reset : NULL,
            },
        .data = b.data,
        .steps_offset = field(&b, TYF_BLOB_STEPS_OFFSET),
        .step_count = field(&b, TYF_BLOB_STEP_COUNT_OFFSET),
    };
    const tyf_model *m = &opened.model;
    if (!is_name(&b, name_offset) || !is_tensor(&b, m->input_dtype, m->input_offset, m->input_bytes) ||
        !is_tensor(&b, m->output_dtype, m->output_offset, m->output_bytes) ||
        !is_table(&b, kernels_offset, WORD * kernel_count) ||
        !are_states(&b, field(&b, TYF_BLOB_STATES_OFFSET), state_count)) {
        return TYF_ERR_FORMAT;
    }
    if (frontend_offset != 0 &&
        (m->input_dtype != TYF_DTYPE_INT8 || !read_frontend(&b, frontend_offset, m->input_bytes, &opened.frontend))) {
        return TYF_ERR_FORMAT;
    }
    if (kernel_count > TYF_CFG_BLOB_KERNELS) {
        return TYF_ERR_TOO_LARGE;
    }
    for (uint32_t i = 0; i < kernel_count; i++) {
        opened.kernels[i] = find_kernel(kernels, field(&b, kernels_offset + WORD * i));
        if (opened.kernels[i] == NULL) {
            return TYF_ERR_VERSION;
        }
    }
    if (!are_steps(&b, &opened, kernel_count)) {
        return TYF_ERR_FORMAT;
    }
    opened.model.name = (const char *)(b.data + name_offset);
    *blob = opened;
    blob->model.frontend = frontend_offset != 0 ? &blob->frontend : NULL;
    return TYF_OK;
}

bool tyf_blob_is_intact(const tyf_blob *blob) {
    const uint32_t bytes = tyf_get_u32_le(blob->data + TYF_BLOB_BLOB_BYTES_OFFSET);
    const uint32_t wanted = tyf_get_u32_le(blob->data + TYF_BLOB_CRC32_OFFSET);
    return tyf_crc32(0, blob->data + TYF_BLOB_CRC_START, bytes - TYF_BLOB_CRC_START) == wanted;
}
