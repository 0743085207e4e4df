#include "tyf/boot/slots.h"

#include <stddef.h>
#include <string.h>

#include "tyf/boot/keys.h"
#include "tyf/boot/security.h"
#include "tyf/core/bytes.h"
#include "tyf/flash_map/flash_map.h"
#include "tyf/port/image.h"

#define PAGE_BYTES (TYF_FLASH_PAGE_BYTES > 0u ? TYF_FLASH_PAGE_BYTES : 1u)
#define MAGIC_BYTES 16u

#ifdef TYF_BOARD_AREA_SLOT_0_BYTES
_Static_assert(TYF_FLASH_UNIT_BYTES <= TYF_TRAILER_FLAG_BYTES, "each flag of the trailer is programmed by itself");
#endif

static const tyf_area areas[TYF_BOOT_SLOTS] = {TYF_AREA_SLOT_0, TYF_AREA_SLOT_1};
static const uint8_t vendor_id[TYF_IMAGE_ID_BYTES] = {TYF_BOARD_VENDOR_ID};
static const uint8_t class_id[TYF_IMAGE_ID_BYTES] = {TYF_BOARD_CLASS_ID};
static const uint32_t magic[MAGIC_BYTES / 4u] = {TYF_TRAILER_MAGIC_0, TYF_TRAILER_MAGIC_1, TYF_TRAILER_MAGIC_2,
                                                 TYF_TRAILER_MAGIC_3};

/* So many bits may have changed by themselves and the trailer still says the same. What is half written or half erased
 * differs in more, or in any case may be taken either way. */
#define MAGIC_BIT_ERRORS 8u
#define FLAG_BIT_ERRORS 1u

static uint32_t slot_bytes(void) {
    const uint32_t first = tyf_area_bytes(areas[0]), second = tyf_area_bytes(areas[1]);
    return first < second ? first : second;
}

bool tyf_boot_has_slots(void) {
    return slot_bytes() != 0;
}

uint32_t tyf_boot_capacity(void) {
    return slot_bytes() > PAGE_BYTES ? slot_bytes() - PAGE_BYTES : 0;
}

uint32_t tyf_boot_active(void) {
    for (uint32_t slot = 0; slot < TYF_BOOT_SLOTS; slot++) {
        if (tyf_area_bytes(areas[slot]) != 0 &&
            tyf_port_image_address() == tyf_area_address(areas[slot]) + TYF_IMAGE_FIRMWARE_HEADER_BYTES) {
            return slot;
        }
    }
    return TYF_BOOT_NO_SLOT;
}

static bool are_blank(const uint8_t *bytes, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        if (bytes[i] != 0xff) {
            return false;
        }
    }
    return true;
}

static bool is_trailer_blank(uint32_t slot) {
    return are_blank(tyf_area_data(areas[slot]) + tyf_boot_capacity(), PAGE_BYTES);
}

static uint32_t bit_count(uint32_t bits) {
    uint32_t count = 0;
    for (; bits != 0; bits &= bits - 1u) {
        count++;
    }
    return count;
}

static const uint8_t *flag_at(uint32_t slot, uint32_t from_end) {
    return tyf_area_data(areas[slot]) + slot_bytes() - from_end;
}

static bool is_flag_blank(uint32_t slot, uint32_t from_end) {
    return are_blank(flag_at(slot, from_end), TYF_TRAILER_FLAG_BYTES);
}

static bool is_flag_set(uint32_t slot, uint32_t from_end) {
    const uint8_t *flag = flag_at(slot, from_end);
    uint32_t errors = bit_count(flag[0] ^ TYF_TRAILER_FLAG_SET);
    for (uint32_t i = 1; i < TYF_TRAILER_FLAG_BYTES; i++) {
        errors += bit_count(flag[i] ^ 0xffu);
    }
    return errors <= FLAG_BIT_ERRORS;
}

static bool is_magic(uint32_t slot) {
    uint32_t errors = 0;
    for (uint32_t i = 0; i < MAGIC_BYTES / 4u; i++) {
        errors += bit_count(tyf_get_u32_le(flag_at(slot, TYF_TRAILER_MAGIC_FROM_END) + 4u * i) ^ magic[i]);
    }
    return errors <= MAGIC_BIT_ERRORS;
}

/* Of the request, from the first copy that is intact; 0: none is. */
static uint32_t read_order(uint32_t slot) {
    const uint8_t *order = tyf_area_data(areas[slot]) + tyf_boot_capacity();
    for (uint32_t i = 0; i < TYF_TRAILER_ORDER_COPIES; i++, order += TYF_TRAILER_ORDER_BYTES) {
        if (tyf_get_u32_le(order) == ~tyf_get_u32_le(order + 4)) {
            return tyf_get_u32_le(order);
        }
    }
    return 0;
}

static tyf_status set_flag(uint32_t slot, uint32_t from_end) {
    static const uint8_t flag = TYF_TRAILER_FLAG_SET;
    return tyf_area_program(areas[slot], slot_bytes() - from_end, &flag, sizeof flag);
}

void tyf_boot_read(uint32_t slot, tyf_boot_slot *state) {
    *state = (tyf_boot_slot){0};
    if (!tyf_boot_has_slots()) {
        return;
    }
    state->is_image = tyf_image_read(&state->image, tyf_area_data(areas[slot]), tyf_boot_capacity()) == TYF_OK;
    state->is_requested = is_magic(slot);
    state->order = read_order(slot);
    state->is_tried = !is_flag_blank(slot, TYF_TRAILER_TRIED_FROM_END);
    state->is_confirmed = state->is_requested && is_flag_set(slot, TYF_TRAILER_CONFIRMED_FROM_END);
    state->is_active = tyf_boot_active() == slot;
}

/* To be started for the first time. Order and magic are at the two ends of the page that is the trailer's, with the
 * flags between them: an erasure that is cut, from whichever end, does not make a tried image one to be tried. */
static bool is_pending(uint32_t slot, const tyf_boot_slot *state) {
    return state->is_requested && state->order != 0 && !state->is_tried &&
           is_flag_blank(slot, TYF_TRAILER_CONFIRMED_FROM_END);
}

void tyf_boot_trust_firmware(uint32_t slot, tyf_boot_trust *trust) {
    tyf_security security;
    tyf_security_read(&security);
    memcpy(trust->keys[0], security.key, sizeof trust->keys[0]);
    memcpy(trust->keys[1], security.next_key, sizeof trust->keys[1]);
    trust->wanted = (tyf_image_wanted){
        .kind = TYF_IMAGE_FIRMWARE,
        .address = tyf_area_address(areas[slot]),
        .vendor_id = vendor_id,
        .class_id = class_id,
        .least_counter = security.counter,
        .keys = (const uint8_t (*)[TYF_ED25519_KEY_BYTES])trust->keys,
        .key_count = tyf_ed25519_is_key(security.next_key) ? 2u : 1u,
    };
}

void tyf_boot_trust_model(tyf_boot_trust *trust) {
    const uint32_t active = tyf_boot_active();
    tyf_boot_slot state;
    memcpy(trust->keys[0], tyf_model_key, sizeof trust->keys[0]);
    trust->wanted = (tyf_image_wanted){
        .kind = TYF_IMAGE_MODEL,
        .vendor_id = vendor_id,
        .class_id = class_id,
        .keys = (const uint8_t (*)[TYF_ED25519_KEY_BYTES])trust->keys,
        .key_count = 1,
    };
    if (active != TYF_BOOT_NO_SLOT) {
        tyf_boot_read(active, &state);
        trust->firmware = state.image.version;
        trust->wanted.firmware = &trust->firmware;
    }
}

/* Whether a slot may be changed: only while the other one runs and is there to stay. */
static bool is_free(uint32_t slot) {
    const uint32_t active = tyf_boot_active();
    tyf_boot_slot state;
    if (active == TYF_BOOT_NO_SLOT || active == slot) {
        return false;
    }
    tyf_boot_read(active, &state);
    return state.is_confirmed;
}

tyf_status tyf_boot_erase(uint32_t slot, uint32_t offset) {
    if (slot >= TYF_BOOT_SLOTS || offset >= slot_bytes() || offset % PAGE_BYTES != 0) {
        return TYF_ERR_ARG;
    }
    if (!is_free(slot)) {
        return TYF_ERR_STATE;
    }
    tyf_status status = TYF_OK;
    if (offset != tyf_boot_capacity() && !is_trailer_blank(slot)) {
        status = tyf_area_erase(areas[slot], tyf_boot_capacity());
    }
    return status == TYF_OK ? tyf_area_erase(areas[slot], offset) : status;
}

tyf_status tyf_boot_program(uint32_t slot, uint32_t offset, const void *data, uint32_t bytes) {
    if (slot >= TYF_BOOT_SLOTS || offset > tyf_boot_capacity() || bytes > tyf_boot_capacity() - offset) {
        return TYF_ERR_ARG;
    }
    return is_free(slot) && is_trailer_blank(slot) ? tyf_area_program(areas[slot], offset, data, bytes) : TYF_ERR_STATE;
}

static tyf_status check(uint32_t slot, tyf_image *image) {
    tyf_boot_trust trust;
    tyf_boot_trust_firmware(slot, &trust);
    return tyf_image_check(image, tyf_area_data(areas[slot]), tyf_boot_capacity(), &trust.wanted);
}

tyf_status tyf_boot_mark_test(uint32_t slot) {
    if (slot >= TYF_BOOT_SLOTS) {
        return TYF_ERR_ARG;
    }
    if (!is_free(slot)) {
        return TYF_ERR_STATE;
    }
    tyf_image image;
    tyf_boot_slot ours, other;
    tyf_status status = check(slot, &image);
    tyf_boot_read(slot, &ours);
    tyf_boot_read(1u - slot, &other);
    if (status != TYF_OK || is_pending(slot, &ours)) {
        return status;
    }
    if (!is_trailer_blank(slot)) {
        status = tyf_area_erase(areas[slot], tyf_boot_capacity());
    }
    uint8_t order[TYF_TRAILER_ORDER_BYTES * TYF_TRAILER_ORDER_COPIES], magic_bytes[MAGIC_BYTES];
    const uint32_t number = 1u + (ours.order > other.order ? ours.order : other.order);
    for (uint32_t i = 0; i < TYF_TRAILER_ORDER_COPIES; i++) {
        tyf_put_u32_le(order + i * TYF_TRAILER_ORDER_BYTES, number);
        tyf_put_u32_le(order + i * TYF_TRAILER_ORDER_BYTES + 4u, ~number);
    }
    for (uint32_t i = 0; i < MAGIC_BYTES / 4u; i++) {
        tyf_put_u32_le(magic_bytes + 4u * i, magic[i]);
    }
    if (status == TYF_OK) {
        status = tyf_area_program(areas[slot], tyf_boot_capacity(), order, sizeof order);
    }
    if (status == TYF_OK) {
        status = tyf_area_program(areas[slot], slot_bytes() - TYF_TRAILER_MAGIC_FROM_END, magic_bytes, MAGIC_BYTES);
    }
    return status;
}

tyf_status tyf_boot_confirm(void) {
    const uint32_t active = tyf_boot_active();
    if (active == TYF_BOOT_NO_SLOT) {
        return TYF_ERR_STATE;
    }
    tyf_boot_slot state;
    tyf_boot_read(active, &state);
    if (!state.is_image || !state.is_requested) {
        return TYF_ERR_STATE;
    }
    /* First the flag: a counter that rose before would leave no image to go back to if power failed here. */
    const tyf_status status = state.is_confirmed ? TYF_OK : set_flag(active, TYF_TRAILER_CONFIRMED_FROM_END);
    return status == TYF_OK ? tyf_security_advance(&state.image) : status;
}

/* Ranks what may be started: first what is to be tried, then what is confirmed, each by its order, and at last, when
 * there is nothing else, what was tried and never confirmed. 0: never. */
static uint64_t rank(uint32_t slot, const tyf_boot_slot *state) {
    if (!state->is_image || !state->is_requested) {
        return 0;
    }
    const uint64_t kind = is_pending(slot, state) ? 3u : state->is_confirmed ? 2u : 1u;
    return kind << 32 | state->order;
}

tyf_status tyf_boot_choose(uint32_t *slot) {
    tyf_boot_slot states[TYF_BOOT_SLOTS];
    uint64_t ranks[TYF_BOOT_SLOTS];
    for (uint32_t i = 0; i < TYF_BOOT_SLOTS; i++) {
        tyf_boot_read(i, &states[i]);
        ranks[i] = rank(i, &states[i]);
    }
    const uint32_t first = ranks[1] > ranks[0] ? 1u : 0u;
    for (uint32_t turn = 0; turn < TYF_BOOT_SLOTS; turn++) {
        const uint32_t candidate = turn == 0 ? first : 1u - first;
        tyf_image image;
        if (ranks[candidate] == 0 || check(candidate, &image) != TYF_OK) {
            continue;
        }
        /* Marked before it runs, or not run at all: an image that hangs would be tried for ever. */
        if (is_pending(candidate, &states[candidate]) && set_flag(candidate, TYF_TRAILER_TRIED_FROM_END) != TYF_OK) {
            continue;
        }
        if (states[candidate].is_confirmed) {
            (void)tyf_security_advance(&image); /* what a cut after the confirmation left undone */
        }
        *slot = candidate;
        return TYF_OK;
    }
    return TYF_ERR_STATE;
}
