#include "tyf/settings/settings.h"

#include <stddef.h>
#include <string.h>

#include "tyf/core/bytes.h"
#include "tyf/core/crc.h"
#include "tyf/flash_map/flash_map.h"

#define CRC_BYTES 4u

/* Area: magic, version, 0, generation, crc. */
#define HEADER_VERSION_AT 4u
#define HEADER_GENERATION_AT 8u
#define HEADER_CRC_AT 12u
_Static_assert(HEADER_CRC_AT + CRC_BYTES == TYF_SETTINGS_HEADER_BYTES, "header layout");

/* Record: kind, key bytes, value bytes, crc, key, value. */
#define RECORD_KEY_BYTES_AT 1u
#define RECORD_VALUE_BYTES_AT 2u
#define RECORD_CRC_AT 4u
_Static_assert(RECORD_CRC_AT + CRC_BYTES == TYF_SETTINGS_RECORD_BYTES, "record layout");
#define MOST_RECORD_BYTES (TYF_SETTINGS_RECORD_BYTES + TYF_SETTINGS_MAX_KEY_BYTES + TYF_SETTINGS_MAX_VALUE_BYTES)

#define CHUNK_BYTES 32u

static const tyf_area areas[2] = {TYF_AREA_SETTINGS_0, TYF_AREA_SETTINGS_1};

static struct {
    tyf_status status; /* TYF_OK: can be used */
    tyf_area area;     /* the log in force, when generation > 0 */
    uint32_t generation;
    uint32_t end;       /* where the next record goes */
    bool needs_new_log; /* a damaged record is in it, or what follows is not erased */
} store = {.status = TYF_ERR_STATE};

typedef struct {
    uint32_t at, next; /* of it and of the one behind it */
    uint32_t key_bytes, value_bytes;
    uint8_t head[TYF_SETTINGS_RECORD_BYTES];
    char key[TYF_SETTINGS_MAX_KEY_BYTES + 1u];
} record;

static uint32_t whole_units(uint32_t bytes) {
    return TYF_FLASH_UNIT_BYTES == 0
               ? bytes
               : (bytes + TYF_FLASH_UNIT_BYTES - 1u) / TYF_FLASH_UNIT_BYTES * TYF_FLASH_UNIT_BYTES;
}

static uint32_t first_record(void) {
    return whole_units(TYF_SETTINGS_HEADER_BYTES);
}

/* The generation of an area; 0: it has none that is valid. */
static uint32_t read_generation(tyf_area area, bool *is_newer_version) {
    uint8_t header[TYF_SETTINGS_HEADER_BYTES];
    if (tyf_area_read(area, 0, header, sizeof header) != TYF_OK || tyf_get_u32_le(header) != TYF_SETTINGS_MAGIC ||
        tyf_get_u32_le(header + HEADER_CRC_AT) != tyf_crc32(0, header, HEADER_CRC_AT)) {
        return 0;
    }
    *is_newer_version = *is_newer_version || tyf_get_u16_le(header + HEADER_VERSION_AT) != TYF_SETTINGS_VERSION;
    return tyf_get_u32_le(header + HEADER_GENERATION_AT);
}

/* Read a record's head and key; false where no record begins, or one that is damaged in its head. */
static bool read_record(uint32_t at, record *r) {
    const uint32_t area_bytes = tyf_area_bytes(store.area);
    if (area_bytes < TYF_SETTINGS_RECORD_BYTES || at > area_bytes - TYF_SETTINGS_RECORD_BYTES ||
        tyf_area_read(store.area, at, r->head, sizeof r->head) != TYF_OK) {
        return false;
    }
    r->at = at;
    r->key_bytes = r->head[RECORD_KEY_BYTES_AT];
    r->value_bytes = tyf_get_u16_le(r->head + RECORD_VALUE_BYTES_AT);
    const uint32_t most_value_bytes = r->head[0] == TYF_SETTINGS_KIND_SET ? TYF_SETTINGS_MAX_VALUE_BYTES : 0;
    const uint32_t bytes = r->key_bytes + r->value_bytes;
    if ((r->head[0] != TYF_SETTINGS_KIND_SET && r->head[0] != TYF_SETTINGS_KIND_DELETE) || r->key_bytes == 0 ||
        r->key_bytes > TYF_SETTINGS_MAX_KEY_BYTES || r->value_bytes > most_value_bytes ||
        bytes > area_bytes - TYF_SETTINGS_RECORD_BYTES - at) {
        return false;
    }
    r->next = whole_units(at + TYF_SETTINGS_RECORD_BYTES + bytes);
    memset(r->key, 0, sizeof r->key);
    (void)tyf_area_read(store.area, at + TYF_SETTINGS_RECORD_BYTES, r->key, r->key_bytes); /* else the crc is wrong */
    return true;
}

/* A record's crc begins with its area's generation: what an erasure left of an earlier log is no record of this one. */
static uint32_t crc_of_head(const uint8_t *head, uint32_t generation) {
    uint8_t begin[4];
    tyf_put_u32_le(begin, generation);
    return tyf_crc32(tyf_crc32(0, begin, sizeof begin), head, RECORD_CRC_AT);
}

static bool is_intact(const record *r) {
    uint32_t crc = crc_of_head(r->head, store.generation);
    const uint32_t begin = r->at + TYF_SETTINGS_RECORD_BYTES;
    const uint32_t bytes = r->key_bytes + r->value_bytes;
    for (uint32_t done = 0; done < bytes; done += CHUNK_BYTES) {
        uint8_t chunk[CHUNK_BYTES];
        const uint32_t count = bytes - done < CHUNK_BYTES ? bytes - done : CHUNK_BYTES;
        if (tyf_area_read(store.area, begin + done, chunk, count) != TYF_OK) {
            return false;
        }
        crc = tyf_crc32(crc, chunk, count);
    }
    return crc == tyf_get_u32_le(r->head + RECORD_CRC_AT);
}

static bool is_erased(uint32_t at) {
    const uint32_t area_bytes = tyf_area_bytes(store.area);
    while (at < area_bytes) {
        uint8_t chunk[CHUNK_BYTES];
        const uint32_t count = area_bytes - at < CHUNK_BYTES ? area_bytes - at : CHUNK_BYTES;
        if (tyf_area_read(store.area, at, chunk, count) != TYF_OK) {
            return false;
        }
        for (uint32_t i = 0; i < count; i++) {
            if (chunk[i] != 0xff) {
                return false;
            }
        }
        at += count;
    }
    return true;
}

/* What a power cut left in the log is passed over, and nothing is written behind it: the next change begins a new log.
 */
static void find_end(void) {
    record r;
    store.needs_new_log = false;
    store.end = first_record();
    while (read_record(store.end, &r)) {
        store.needs_new_log = store.needs_new_log || !is_intact(&r);
        store.end = r.next;
    }
    store.needs_new_log = store.needs_new_log || !is_erased(store.end);
}

tyf_status tyf_settings_start(void) {
    memset(&store, 0, sizeof store);
    store.status = TYF_ERR_STATE;
    if (tyf_area_bytes(areas[0]) == 0 || tyf_area_bytes(areas[1]) == 0) {
        return store.status;
    }
    bool is_newer_version = false;
    for (uint32_t i = 0; i < 2; i++) {
        const uint32_t generation = read_generation(areas[i], &is_newer_version);
        if (generation > store.generation) {
            store.area = areas[i];
            store.generation = generation;
        }
    }
    store.status = is_newer_version ? TYF_ERR_VERSION : TYF_OK;
    if (store.status == TYF_OK && store.generation > 0) {
        find_end();
    }
    return store.status;
}

/* First record at or behind at, before the log's end. */
static bool next_record(uint32_t at, record *r) {
    return store.generation > 0 && at < store.end && read_record(at, r);
}

static bool has_key(const record *r, const char *key) {
    /* The library's strcmp takes 700 bytes. */
    const char *ours = r->key;
    while (*ours != '\0' && *ours == *key) {
        ours++;
        key++;
    }
    return *ours == *key;
}

/* Whether a record says what its key's value is: intact, and no later one is about the same key. */
static bool is_in_force(const record *r) {
    record later;
    if (r->head[0] != TYF_SETTINGS_KIND_SET || !is_intact(r)) {
        return false;
    }
    for (uint32_t at = r->next; next_record(at, &later); at = later.next) {
        if (has_key(&later, r->key) && is_intact(&later)) {
            return false;
        }
    }
    return true;
}

static bool find(const char *key, record *found) {
    record r;
    bool is_found = false;
    for (uint32_t at = first_record(); next_record(at, &r); at = r.next) {
        if (has_key(&r, key) && is_intact(&r)) {
            is_found = r.head[0] == TYF_SETTINGS_KIND_SET;
            *found = r;
        }
    }
    return is_found;
}

static bool is_key(const char *key) {
    const void *end = memchr(key, 0, TYF_SETTINGS_MAX_KEY_BYTES + 1u);
    return end != NULL && key[0] != 0;
}

static tyf_status read_value(const record *r, void *value) {
    return tyf_area_read(store.area, r->at + TYF_SETTINGS_RECORD_BYTES + r->key_bytes, value, r->value_bytes);
}

tyf_status tyf_settings_get(const char *key, void *value, uint32_t capacity, uint32_t *bytes) {
    record r;
    *bytes = 0;
    if (store.status != TYF_OK) {
        return store.status;
    }
    if (!is_key(key)) {
        return TYF_ERR_ARG;
    }
    if (!find(key, &r)) {
        return TYF_ERR_STATE;
    }
    *bytes = r.value_bytes;
    return r.value_bytes > capacity ? TYF_ERR_TOO_LARGE : read_value(&r, value);
}

static uint32_t size_of_record(uint32_t key_bytes, uint32_t value_bytes) {
    return whole_units(TYF_SETTINGS_RECORD_BYTES + key_bytes + value_bytes);
}

/* What a change is about. */
typedef struct {
    uint8_t kind;
    const char *key;
    const void *value;
    uint32_t value_bytes;
} change;

static tyf_status program_record(tyf_area area, uint32_t generation, uint32_t at, const change *c) {
    uint8_t bytes[MOST_RECORD_BYTES];
    const uint32_t key_bytes = (uint32_t)strlen(c->key);
    bytes[0] = c->kind;
    bytes[RECORD_KEY_BYTES_AT] = (uint8_t)key_bytes;
    tyf_put_u16_le(bytes + RECORD_VALUE_BYTES_AT, (uint16_t)c->value_bytes);
    memcpy(bytes + TYF_SETTINGS_RECORD_BYTES, c->key, key_bytes);
    if (c->value_bytes > 0) {
        memcpy(bytes + TYF_SETTINGS_RECORD_BYTES + key_bytes, c->value, c->value_bytes);
    }
    const uint32_t crc =
        tyf_crc32(crc_of_head(bytes, generation), bytes + TYF_SETTINGS_RECORD_BYTES, key_bytes + c->value_bytes);
    tyf_put_u32_le(bytes + RECORD_CRC_AT, crc);
    return tyf_area_program(area, at, bytes, TYF_SETTINGS_RECORD_BYTES + key_bytes + c->value_bytes);
}

static tyf_status program_header(tyf_area area, uint32_t generation) {
    uint8_t header[TYF_SETTINGS_HEADER_BYTES] = {0};
    tyf_put_u32_le(header, TYF_SETTINGS_MAGIC);
    tyf_put_u16_le(header + HEADER_VERSION_AT, TYF_SETTINGS_VERSION);
    tyf_put_u32_le(header + HEADER_GENERATION_AT, generation);
    tyf_put_u32_le(header + HEADER_CRC_AT, tyf_crc32(0, header, HEADER_CRC_AT));
    return tyf_area_program(area, 0, header, sizeof header);
}

static tyf_status copy_record(tyf_area area, uint32_t generation, uint32_t at, const record *r) {
    uint8_t value[TYF_SETTINGS_MAX_VALUE_BYTES];
    const tyf_status status = read_value(r, value);
    const change copy = {TYF_SETTINGS_KIND_SET, r->key, value, r->value_bytes};
    return status == TYF_OK ? program_record(area, generation, at, &copy) : status;
}

/* Write what is in force, and the change, into the other area. Its header comes last: until then this log is in force.
 */
static tyf_status begin_new_log(const change *c) {
    const bool is_set = c->kind == TYF_SETTINGS_KIND_SET;
    const tyf_area area = store.generation > 0 && store.area == areas[0] ? areas[1] : areas[0];
    const uint32_t area_bytes = tyf_area_bytes(area);
    const uint32_t generation = store.generation + 1u;
    record r;
    uint32_t end = first_record() + (is_set ? size_of_record((uint32_t)strlen(c->key), c->value_bytes) : 0);
    for (uint32_t at = first_record(); next_record(at, &r); at = r.next) {
        if (!has_key(&r, c->key) && is_in_force(&r)) {
            end += size_of_record(r.key_bytes, r.value_bytes);
        }
    }
    if (end > area_bytes) {
        return TYF_ERR_TOO_LARGE;
    }
    if (generation == 0) {
        return TYF_ERR_STATE; /* used up, or made by somebody else: a log that counts from 0 would not be in force */
    }
    tyf_status status = TYF_OK;
    for (uint32_t page = 0; page < area_bytes && status == TYF_OK; page += TYF_FLASH_PAGE_BYTES) {
        status = tyf_area_erase(area, page);
    }
    end = first_record();
    for (uint32_t at = first_record(); status == TYF_OK && next_record(at, &r); at = r.next) {
        if (!has_key(&r, c->key) && is_in_force(&r)) {
            status = copy_record(area, generation, end, &r);
            end += size_of_record(r.key_bytes, r.value_bytes);
        }
    }
    if (status == TYF_OK && is_set) {
        status = program_record(area, generation, end, c);
        end += size_of_record((uint32_t)strlen(c->key), c->value_bytes);
    }
    if (status == TYF_OK) {
        status = program_header(area, generation);
    }
    if (status == TYF_OK) {
        store.area = area;
        store.generation = generation;
        store.end = end;
        store.needs_new_log = false;
    }
    return status;
}

static tyf_status write(const change *c) {
    const uint32_t bytes = size_of_record((uint32_t)strlen(c->key), c->value_bytes);
    const uint32_t area_bytes = tyf_area_bytes(store.area);
    if (store.generation == 0 || store.needs_new_log || bytes > area_bytes - store.end) {
        return begin_new_log(c);
    }
    const tyf_status status = program_record(store.area, store.generation, store.end, c);
    if (status == TYF_OK) {
        store.end += bytes;
    } else {
        store.needs_new_log = true; /* a part of the record may be there */
    }
    return status;
}

static bool is_value(const record *r, const void *value, uint32_t bytes) {
    uint8_t now[TYF_SETTINGS_MAX_VALUE_BYTES];
    return r->value_bytes == bytes && read_value(r, now) == TYF_OK && (bytes == 0 || memcmp(now, value, bytes) == 0);
}

tyf_status tyf_settings_set(const char *key, const void *value, uint32_t bytes) {
    record r;
    if (store.status != TYF_OK) {
        return store.status;
    }
    if (!is_key(key) || bytes > TYF_SETTINGS_MAX_VALUE_BYTES) {
        return TYF_ERR_ARG;
    }
    if (find(key, &r) && is_value(&r, value, bytes)) {
        return TYF_OK;
    }
    return write(&(change){TYF_SETTINGS_KIND_SET, key, value, bytes});
}

tyf_status tyf_settings_delete(const char *key) {
    record r;
    if (store.status != TYF_OK) {
        return store.status;
    }
    if (!is_key(key)) {
        return TYF_ERR_ARG;
    }
    return find(key, &r) ? write(&(change){TYF_SETTINGS_KIND_DELETE, key, NULL, 0}) : TYF_OK;
}

tyf_status tyf_settings_each(tyf_settings_fn fn, void *context) {
    record r;
    if (store.status != TYF_OK) {
        return store.status;
    }
    for (uint32_t at = first_record(); next_record(at, &r); at = r.next) {
        uint8_t value[TYF_SETTINGS_MAX_VALUE_BYTES];
        if (is_in_force(&r)) {
            const tyf_status status = read_value(&r, value);
            if (status != TYF_OK) {
                return status;
            }
            if (!fn(context, r.key, value, r.value_bytes)) {
                break;
            }
        }
    }
    return TYF_OK;
}
