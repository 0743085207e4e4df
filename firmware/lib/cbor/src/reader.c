#include "tyf/cbor/reader.h"

#include <string.h>

#include "tyf/core/config.h"

enum {
    MAJOR_UINT = 0,
    MAJOR_BYTES = 2,
    MAJOR_TEXT = 3,
    MAJOR_ARRAY = 4,
    MAJOR_MAP = 5,
    MAJOR_TAG = 6,
    MAJOR_SIMPLE = 7,
};

#define SIMPLE_FALSE 20u
#define SIMPLE_TRUE 21u
#define BREAK 0xffu
#define UNTIL_BREAK UINT32_MAX

/* The first bytes of an item. */
typedef struct {
    uint8_t major;
    bool is_indefinite;
    uint64_t argument;
} item_head;

/* Read a head at p; returns the byte after it, NULL when malformed. */
static const uint8_t *read_head(const uint8_t *p, const uint8_t *end, item_head *head) {
    if (p == end) {
        return NULL;
    }
    uint32_t info = *p & 31u;
    head->major = (uint8_t)(*p >> 5);
    head->is_indefinite = false;
    head->argument = info;
    p++;
    if (info < 24) {
        return p;
    }
    if (info == 31 && (head->major == MAJOR_ARRAY || head->major == MAJOR_MAP)) {
        head->is_indefinite = true;
        return p;
    }
    if (info > 27) {
        return NULL;
    }
    uint32_t bytes = 1u << (info - 24u);
    if ((uint32_t)(end - p) < bytes) {
        return NULL;
    }
    head->argument = 0;
    for (uint32_t i = 0; i < bytes; i++) {
        head->argument = head->argument << 8 | p[i];
    }
    if (head->major == MAJOR_SIMPLE && info == 24 && head->argument < 32) {
        return NULL; /* RFC 8949, 3.3: those have one form only */
    }
    return p + bytes;
}

/* Items that an open container still wants, one level each. Maps count keys and values; odd ones of a map are keys. */
typedef struct {
    uint32_t remaining[TYF_CFG_CBOR_DEPTH];
    bool is_map[TYF_CFG_CBOR_DEPTH];
    bool wants_value[TYF_CFG_CBOR_DEPTH];
    uint32_t depth;
} open_containers;

/* Account for a container head with count items; false when it cannot be right. */
static bool open_container(open_containers *open, const item_head *head, uint32_t bytes_left) {
    if (open->depth == TYF_CFG_CBOR_DEPTH) {
        return false;
    }
    uint32_t count = UNTIL_BREAK;
    if (!head->is_indefinite) {
        uint64_t items = head->major == MAJOR_MAP ? 2 : 1;
        if (head->argument > bytes_left / items) {
            return false; /* each item is at least one byte */
        }
        count = head->major == MAJOR_TAG ? 1u : (uint32_t)(head->argument * items);
    }
    open->remaining[open->depth] = count;
    open->is_map[open->depth] = head->major == MAJOR_MAP;
    open->wants_value[open->depth] = false;
    open->depth++;
    return true;
}

/* Count a finished item in its container, and every container that ends with it. */
static void close_item(open_containers *open) {
    while (open->depth > 0) {
        uint32_t level = open->depth - 1u;
        open->wants_value[level] = open->is_map[level] && !open->wants_value[level];
        if (open->remaining[level] == UNTIL_BREAK || --open->remaining[level] > 0) {
            return;
        }
        open->depth--;
    }
}

/* Skip one whole item at p; returns the byte after it, NULL when malformed or too deep. Each turn consumes a byte. */
static const uint8_t *skip_item(const uint8_t *p, const uint8_t *end) {
    open_containers open = {.depth = 0};
    do {
        if (open.depth > 0 && open.remaining[open.depth - 1u] == UNTIL_BREAK && p < end && *p == BREAK) {
            if (open.wants_value[open.depth - 1u]) {
                return NULL;
            }
            p++;
            open.depth--;
            close_item(&open);
            continue;
        }
        item_head head;
        p = read_head(p, end, &head);
        if (p == NULL) {
            return NULL;
        }
        uint32_t left = (uint32_t)(end - p);
        bool is_container = head.major == MAJOR_ARRAY || head.major == MAJOR_MAP || head.major == MAJOR_TAG;
        if (head.major == MAJOR_TAG) {
            head.argument = 1; /* the tag's number does not matter, one item follows */
        }
        if (is_container && (head.is_indefinite || head.argument > 0)) {
            if (!open_container(&open, &head, left)) {
                return NULL;
            }
            continue;
        }
        if (head.major == MAJOR_BYTES || head.major == MAJOR_TEXT) {
            if (head.argument > left) {
                return NULL;
            }
            p += head.argument;
        }
        close_item(&open);
    } while (open.depth > 0);
    return p;
}

tyf_status tyf_cbor_map_open(tyf_cbor_map *map, const uint8_t *data, uint32_t bytes) {
    static const uint8_t nothing[1];
    if (bytes == 0) {
        *map = (tyf_cbor_map){.entries = nothing, .end = nothing};
        return TYF_OK;
    }
    const uint8_t *end = data + bytes;
    item_head head;
    const uint8_t *entries = read_head(data, end, &head);
    if (entries == NULL || head.major != MAJOR_MAP || skip_item(data, end) != end) {
        return TYF_ERR_FORMAT;
    }
    *map = (tyf_cbor_map){.entries = entries, .end = head.is_indefinite ? end - 1 : end};
    return TYF_OK;
}

/* The value under key, or NULL; the map has been checked, so every skip succeeds. */
static const uint8_t *find(const tyf_cbor_map *map, const char *key) {
    size_t key_bytes = strlen(key);
    const uint8_t *p = map->entries;
    while (p < map->end) {
        item_head head;
        const uint8_t *text = read_head(p, map->end, &head);
        const uint8_t *value = skip_item(p, map->end);
        if (head.major == MAJOR_TEXT && head.argument == key_bytes && memcmp(text, key, key_bytes) == 0) {
            return value;
        }
        p = skip_item(value, map->end);
    }
    return NULL;
}

static tyf_status find_string(const tyf_cbor_map *map, const char *key, uint8_t major, tyf_cbor_string *value) {
    const uint8_t *p = find(map, key);
    if (p == NULL) {
        return TYF_ERR_ARG;
    }
    item_head head;
    const uint8_t *data = read_head(p, map->end, &head);
    if (head.major != major) {
        return TYF_ERR_FORMAT;
    }
    *value = (tyf_cbor_string){.data = data, .bytes = (uint32_t)head.argument};
    return TYF_OK;
}

tyf_status tyf_cbor_find_u32(const tyf_cbor_map *map, const char *key, uint32_t *value) {
    const uint8_t *p = find(map, key);
    if (p == NULL) {
        return TYF_ERR_ARG;
    }
    item_head head;
    (void)read_head(p, map->end, &head);
    if (head.major != MAJOR_UINT || head.argument > UINT32_MAX) {
        return TYF_ERR_FORMAT;
    }
    *value = (uint32_t)head.argument;
    return TYF_OK;
}

tyf_status tyf_cbor_find_bool(const tyf_cbor_map *map, const char *key, bool *value) {
    const uint8_t *p = find(map, key);
    if (p == NULL) {
        return TYF_ERR_ARG;
    }
    if (*p != (MAJOR_SIMPLE << 5 | SIMPLE_FALSE) && *p != (MAJOR_SIMPLE << 5 | SIMPLE_TRUE)) {
        return TYF_ERR_FORMAT;
    }
    *value = *p == (MAJOR_SIMPLE << 5 | SIMPLE_TRUE);
    return TYF_OK;
}

tyf_status tyf_cbor_find_bytes(const tyf_cbor_map *map, const char *key, tyf_cbor_string *value) {
    return find_string(map, key, MAJOR_BYTES, value);
}

tyf_status tyf_cbor_find_text(const tyf_cbor_map *map, const char *key, tyf_cbor_string *value) {
    return find_string(map, key, MAJOR_TEXT, value);
}
