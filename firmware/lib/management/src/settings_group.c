/* SMP group 3: settings that outlive a restart. Those that begin with '.' are the firmware's own: no host sees or
 * changes them here. */
#include <string.h>

#include "management.h"
#include "tyf/settings/settings.h"

#define PRIVATE '.'

/* The name as C knows it; false when no host's setting can be called so. */
static bool copy_name(const tyf_cbor_string *name, char to[TYF_SETTINGS_MAX_KEY_BYTES + 1u]) {
    if (memchr(name->data, 0, name->bytes) != NULL || name->data[0] == PRIVATE) {
        return false;
    }
    memcpy(to, name->data, name->bytes);
    to[name->bytes] = '\0';
    return true;
}

static int read_setting(tyf_smp_exchange *exchange) {
    const tyf_setting_read_request *request = exchange->request;
    char name[TYF_SETTINGS_MAX_KEY_BYTES + 1u];
    uint8_t value[TYF_SETTINGS_MAX_VALUE_BYTES];
    uint32_t bytes = 0;
    if (request->name.bytes > TYF_SETTINGS_MAX_KEY_BYTES) {
        return -TYF_SETTINGS_ERR_KEY_TOO_LONG;
    }
    if (!copy_name(&request->name, name) || tyf_settings_get(name, value, sizeof value, &bytes) != TYF_OK) {
        return -TYF_SETTINGS_ERR_KEY_NOT_FOUND;
    }
    const uint32_t most = request->max_size == 0 || request->max_size > sizeof value ? sizeof value : request->max_size;
    tyf_cbor_add_bytes(&exchange->reply, "val", value, bytes < most ? bytes : most);
    if (request->max_size > sizeof value) {
        tyf_cbor_add_uint(&exchange->reply, "max_size", sizeof value);
    }
    return TYF_SMP_OK;
}

static int write_setting(tyf_smp_exchange *exchange) {
    const tyf_setting_write_request *request = exchange->request;
    char name[TYF_SETTINGS_MAX_KEY_BYTES + 1u];
    if (request->name.bytes > TYF_SETTINGS_MAX_KEY_BYTES) {
        return -TYF_SETTINGS_ERR_KEY_TOO_LONG;
    }
    if (!copy_name(&request->name, name)) {
        return -TYF_SETTINGS_ERR_WRITE_NOT_SUPPORTED;
    }
    switch (tyf_settings_set(name, request->val.data, request->val.bytes)) {
    case TYF_OK:
        return TYF_SMP_OK;
    case TYF_ERR_STATE: /* this board keeps no settings */
        return -TYF_SETTINGS_ERR_WRITE_NOT_SUPPORTED;
    case TYF_ERR_TOO_LARGE:
        return TYF_SMP_ENOMEM;
    default:
        return -TYF_SETTINGS_ERR_UNKNOWN;
    }
}

static int delete_setting(tyf_smp_exchange *exchange) {
    const tyf_setting_delete_request *request = exchange->request;
    char name[TYF_SETTINGS_MAX_KEY_BYTES + 1u];
    if (request->name.bytes > TYF_SETTINGS_MAX_KEY_BYTES) {
        return -TYF_SETTINGS_ERR_KEY_TOO_LONG;
    }
    if (!copy_name(&request->name, name)) {
        return -TYF_SETTINGS_ERR_DELETE_NOT_SUPPORTED;
    }
    return tyf_settings_delete(name) == TYF_OK ? TYF_SMP_OK : -TYF_SETTINGS_ERR_UNKNOWN;
}

const tyf_smp_command tyf_management_settings_commands[TYF_MANAGEMENT_SETTINGS_COMMANDS] = {
    {TYF_MESSAGE_SETTING_READ, .handler = read_setting},
    {TYF_MESSAGE_SETTING_WRITE, .handler = write_setting},
    {TYF_MESSAGE_SETTING_DELETE, .handler = delete_setting},
    {TYF_MESSAGE_SETTINGS_COMMIT, .handler = tyf_management_nothing},
    {TYF_MESSAGE_SETTINGS_LOAD, .handler = tyf_management_nothing},
    {TYF_MESSAGE_SETTINGS_SAVE, .handler = tyf_management_nothing},
};
