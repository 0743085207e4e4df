/* Packages and deltas on their way into the slot that is not live. */
#include <string.h>

#include "store.h"
#include "tyf/core/bytes.h"
#include "tyf/settings/transfer.h"

/* The setting that says how far a package came, up to its end. */
#define MARK ".model_upload"

/* Bytes that one call copies from the base at most, so that its answer does not take long. */
#define COPY_BYTES 16384u

/* A delta begins with this: magic, version, digest of the base, size and SHA-256 of what it makes. */
#define HEAD_BYTES TYF_DELTA_HEADER_BYTES
#define INSTRUCTION_BYTES 8u

static bool is_delta(const tyf_model_piece *piece) {
    return piece->bytes >= 4u && tyf_get_u32_le(piece->data) == TYF_DELTA_MAGIC;
}

/* Program package bytes where they go; each page is erased when the first byte comes to it. */
static tyf_status append(model_transfer *t, const uint8_t *data, uint32_t bytes) {
    const tyf_area area = model_area(t->slot);
    if (bytes > t->package_bytes - t->written) {
        return TYF_ERR_FORMAT;
    }
    tyf_sha256_update(&t->hash, data, bytes);
    const uint32_t end = t->written + bytes;
    while (t->erased < end) {
        const tyf_status status = tyf_area_erase(area, t->erased);
        if (status != TYF_OK) {
            return status;
        }
        t->erased += TYF_FLASH_PAGE_BYTES;
    }
    while (bytes > 0) {
        const uint32_t held = t->written % UNIT_BYTES;
        const uint32_t whole = bytes - bytes % UNIT_BYTES;
        tyf_status status = TYF_OK;
        uint32_t taken = whole;
        if (held == 0 && whole != 0) {
            status = tyf_area_program(area, t->written, data, whole);
        } else {
            taken = bytes < UNIT_BYTES - held ? bytes : UNIT_BYTES - held;
            memcpy(t->tail + held, data, taken);
            const bool is_last = t->written + taken == t->package_bytes;
            if (held + taken == UNIT_BYTES || is_last) {
                status = tyf_area_program(area, t->written - held, t->tail, held + taken);
            }
        }
        if (status != TYF_OK) {
            return status;
        }
        t->written += taken;
        data += taken;
        bytes -= taken;
    }
    return TYF_OK;
}

/* The slot that holds the base of a delta: only one whose signature was checked, and never the one that is erased. */
static uint32_t find_base(const uint8_t *digest, uint32_t target) {
    for (uint32_t i = 0; i < TYF_MODEL_SLOTS; i++) {
        const tyf_model_slot_report *report = &tyf_model_store_state.slots[i].report;
        if (i != target && report->model != NULL && memcmp(report->digest, digest, TYF_SHA256_BYTES) == 0) {
            return i;
        }
    }
    return MODEL_NONE;
}

static tyf_transfer as_transfer(const model_transfer *t) {
    tyf_transfer file = {.area = t->slot, .bytes = t->total, .off = t->written};
    memcpy(file.sha256, t->sha256, sizeof file.sha256);
    return file;
}

/* Keep the place, when what was written since passed one that is kept, or is all. A delta begins again after a restart:
 * it is short, and half an instruction cannot be kept. */
static void mark_place(const model_transfer *t, uint32_t before) {
    tyf_transfer file = as_transfer(t);
    file.off = t->written == t->total ? t->total : t->written - t->written % TYF_TRANSFER_MARK_BYTES;
    if (!t->is_delta && file.off > before) {
        tyf_transfer_mark(MARK, &file);
    }
}

static tyf_status begin(const tyf_model_piece *piece) {
    model_store *store = &tyf_model_store_state;
    model_transfer t = {.slot = tyf_model_free_slot(), .total = piece->total, .package_bytes = piece->total};
    memcpy(t.sha256, piece->sha256, TYF_SHA256_BYTES);
    memcpy(t.package_sha256, piece->sha256, TYF_SHA256_BYTES);
    if (piece->bytes > piece->total) {
        return TYF_ERR_ARG;
    }
    if (is_delta(piece)) {
        if (piece->bytes < HEAD_BYTES || tyf_get_u16_le(piece->data + 4) != TYF_DELTA_VERSION) {
            return piece->bytes < HEAD_BYTES ? TYF_ERR_FORMAT : TYF_ERR_VERSION;
        }
        t.is_delta = true;
        t.package_bytes = tyf_get_u32_le(piece->data + TYF_DELTA_PACKAGE_BYTES_OFFSET);
        memcpy(t.package_sha256, piece->data + TYF_DELTA_PACKAGE_SHA256_OFFSET, TYF_SHA256_BYTES);
        if (find_base(piece->data + TYF_DELTA_BASE_OFFSET, t.slot) == MODEL_NONE) {
            return TYF_ERR_BASE;
        }
    }
    if (t.package_bytes == 0 || t.package_bytes > tyf_area_bytes(model_area(t.slot))) {
        return TYF_ERR_TOO_LARGE;
    }
    /* From here on the slot is written: nothing may lead there any more, also not after a power cut. */
    const tyf_status status = tyf_model_slot_release(t.slot);
    if (status != TYF_OK) {
        return status;
    }
    tyf_sha256_init(&t.hash);
    const tyf_transfer file = as_transfer(&t);
    if (!t.is_delta && tyf_transfer_goes_on(MARK, &file, &t.written)) {
        tyf_sha256_update(&t.hash, tyf_area_data(model_area(t.slot)), t.written);
        t.erased = t.written;
    } else if (!tyf_transfer_forget(MARK)) {
        return TYF_ERR_FLASH;
    }
    store->transfer = t;
    store->newest_slot = t.slot;
    store->slots[t.slot].report = (tyf_model_slot_report){.phase = TYF_MODEL_PHASE_RECEIVING, .received = t.written};
    return TYF_OK;
}

/* Part of a copy from the base. The base is the other slot, which nothing erases while a transfer runs. */
static tyf_status copy(model_transfer *t) {
    const model_slot *base = &tyf_model_store_state.slots[1u - t->slot];
    const uint32_t bytes = t->copy < COPY_BYTES ? t->copy : COPY_BYTES;
    if (base->report.model == NULL) {
        return TYF_ERR_BASE;
    }
    const tyf_status status = append(t, base->package.blob - TYF_IMAGE_HEADER_BYTES + t->copy_at, bytes);
    t->copy -= bytes;
    t->copy_at += bytes;
    return status;
}

/* One instruction: how many bytes follow, or how many are copied from where. */
static tyf_status take_instruction(model_transfer *t) {
    const uint32_t word = tyf_get_u32_le(t->head), at = tyf_get_u32_le(t->head + 4);
    const uint32_t bytes = word & ~TYF_DELTA_COPY;
    const uint32_t base_bytes = tyf_model_store_state.slots[1u - t->slot].package.package_bytes;
    t->head_bytes = 0;
    if ((word & TYF_DELTA_COPY) == 0) {
        t->literal = bytes;
        return bytes != 0 && at == 0 ? TYF_OK : TYF_ERR_FORMAT;
    }
    t->copy = bytes;
    t->copy_at = at;
    return bytes != 0 && at <= base_bytes && bytes <= base_bytes - at ? TYF_OK : TYF_ERR_FORMAT;
}

/* Take bytes of a delta up to its end, or up to a copy that has to be done first. */
static tyf_status take_delta(model_transfer *t, const uint8_t *data, uint32_t bytes, uint32_t *taken) {
    tyf_status status = TYF_OK;
    for (*taken = 0; *taken < bytes && t->copy == 0 && status == TYF_OK;) {
        if (t->literal != 0) {
            const uint32_t count = bytes - *taken < t->literal ? bytes - *taken : t->literal;
            status = append(t, data + *taken, count);
            t->literal -= count;
            *taken += count;
        } else {
            t->head[t->head_bytes++] = data[(*taken)++];
            if (t->head_bytes == INSTRUCTION_BYTES) {
                status = take_instruction(t);
            }
        }
    }
    return status;
}

static void finish(model_transfer *t) {
    model_slot *slot = &tyf_model_store_state.slots[t->slot];
    uint8_t sha256[TYF_SHA256_BYTES];
    tyf_sha256_final(&t->hash, sha256);
    const bool is_right = t->written == t->package_bytes && memcmp(sha256, t->package_sha256, TYF_SHA256_BYTES) == 0;
    slot->report.phase = is_right ? TYF_MODEL_PHASE_STORED : TYF_MODEL_PHASE_REFUSED;
    slot->report.status = is_right ? TYF_OK : TYF_ERR_FORMAT;
    if (!is_right) {
        (void)tyf_transfer_forget(MARK);
    }
}

tyf_status tyf_model_receive_forget(void) {
    tyf_model_store_state.transfer.slot = MODEL_NONE;
    return tyf_transfer_forget(MARK) ? TYF_OK : TYF_ERR_FLASH;
}

tyf_status tyf_model_store_receive(const tyf_model_piece *piece, uint32_t *next) {
    model_store *store = &tyf_model_store_state;
    model_transfer *t = &store->transfer;
    if (piece->offset == 0 && (t->slot == MODEL_NONE || t->total != piece->total ||
                               memcmp(t->sha256, piece->sha256, TYF_SHA256_BYTES) != 0)) {
        *next = 0;
        const tyf_status status = begin(piece);
        if (status != TYF_OK) {
            return status;
        }
    }
    if (t->slot == MODEL_NONE) {
        *next = 0; /* perhaps the board restarted: the host may begin, and goes on then */
        return TYF_OK;
    }
    model_slot *slot = &store->slots[t->slot];
    uint32_t *received = &slot->report.received;
    tyf_status status = TYF_OK;
    if (slot->report.phase == TYF_MODEL_PHASE_RECEIVING) {
        if (t->copy != 0) {
            status = copy(t);
        } else if (piece->offset == *received) {
            if (piece->bytes > t->total - *received) {
                *next = *received;
                return TYF_ERR_ARG;
            }
            /* A delta's header has been taken by begin(). */
            const uint32_t skip = t->is_delta && *received == 0 ? HEAD_BYTES : 0, before = t->written;
            uint32_t taken = piece->bytes - skip;
            status = t->is_delta ? take_delta(t, piece->data + skip, piece->bytes - skip, &taken)
                                 : append(t, piece->data, piece->bytes);
            *received += skip + taken;
            if (status == TYF_OK) {
                mark_place(t, before);
            }
        }
        if (status == TYF_OK && *received == t->total && t->copy == 0) {
            finish(t);
            status = slot->report.status;
        } else if (status != TYF_OK) {
            slot->report.phase = TYF_MODEL_PHASE_REFUSED;
            slot->report.status = status;
        }
    }
    *next = *received;
    if (slot->report.phase == TYF_MODEL_PHASE_REFUSED) {
        t->slot = MODEL_NONE; /* the same transfer may begin again */
    } else if (*received == t->total && t->copy != 0) {
        *next = t->total - 1u; /* all is here but not yet in place: ask again */
    }
    return status;
}
