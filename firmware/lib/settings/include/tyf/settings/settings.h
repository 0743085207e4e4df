/**
 * Keys and values that outlive a restart, in two areas of flash (docs/spec/settings.md). What a call changed is durable
 * when it returns; a power cut within it leaves the old value or the new one, whole, and all others as they were.
 *
 *     tyf_settings_start();
 *     tyf_settings_set("sampling/period_ms", period, sizeof period);
 *     uint8_t value[TYF_SETTINGS_MAX_VALUE_BYTES];
 *     uint32_t bytes;
 *     if (tyf_settings_get("sampling/period_ms", value, sizeof value, &bytes) == TYF_OK) ...
 *
 * One store a board; from the main loop only. A write usually programs one record; every few hundred it erases an area.
 */
#ifndef TYF_SETTINGS_SETTINGS_H
#define TYF_SETTINGS_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "tyf/core/wire.h"

/**
 * Find what is there; once a start, before any other call.
 *
 * @return TYF_OK, also for an empty store; TYF_ERR_STATE: this board has no areas for settings; TYF_ERR_VERSION: a
 * newer program wrote them. All other calls then return the same, and nothing is written.
 */
tyf_status tyf_settings_start(void);

/**
 * @param key       1 .. TYF_SETTINGS_MAX_KEY_BYTES bytes and a 0
 * @param value     gets the value
 * @param capacity  room there, in bytes
 * @param[out] bytes  size of the value; 0 unless TYF_OK or TYF_ERR_TOO_LARGE
 *
 * @return TYF_OK; TYF_ERR_ARG: no such key can be; TYF_ERR_STATE: no such key is set; TYF_ERR_TOO_LARGE: value has
 *         another size than there is room, and nothing is copied
 */
tyf_status tyf_settings_get(const char *key, void *value, uint32_t capacity, uint32_t *bytes);

/**
 * Setting what is set already writes nothing.
 *
 * @param value  0 .. TYF_SETTINGS_MAX_VALUE_BYTES bytes
 *
 * @return TYF_OK; TYF_ERR_ARG; TYF_ERR_TOO_LARGE: the store is full (the old value stays); TYF_ERR_FLASH: the flash
 *         refused (the old value or the new one is there); TYF_ERR_STATE: the flash is worn out long ago
 */
tyf_status tyf_settings_set(const char *key, const void *value, uint32_t bytes);

/** @return TYF_OK, also when the key is not set; TYF_ERR_ARG; TYF_ERR_FLASH */
tyf_status tyf_settings_delete(const char *key);

/** What tyf_settings_each() calls for a key; value is gone when it returns. @return whether to go on */
typedef bool (*tyf_settings_fn)(void *context, const char *key, const uint8_t *value, uint32_t bytes);

/** Call fn for every key that is set, in the order in which they were; fn changes no settings. */
tyf_status tyf_settings_each(tyf_settings_fn fn, void *context);

#endif
