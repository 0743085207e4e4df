/* SMP group 2: counters of the application, by group. */
#include <string.h>

#include "management.h"

static bool is_named(const tyf_cbor_string *text, const char *name) {
    return text->bytes == strlen(name) && memcmp(text->data, name, text->bytes) == 0;
}

static int read_group(tyf_smp_exchange *exchange) {
    const tyf_stat_read_request *request = exchange->request;
    for (uint32_t i = 0; i < tyf_management_application.stat_count; i++) {
        const tyf_management_stat *stat = &tyf_management_application.stats[i];
        if (is_named(&request->name, stat->name)) {
            tyf_cbor_add_text(&exchange->reply, "name", stat->name);
            tyf_cbor_add_map(&exchange->reply, "fields");
            stat->add(&exchange->reply);
            tyf_cbor_end(&exchange->reply);
            return TYF_SMP_OK;
        }
    }
    return -TYF_STAT_ERR_INVALID_GROUP;
}

static int list_groups(tyf_smp_exchange *exchange) {
    tyf_cbor_add_array(&exchange->reply, "stat_list");
    for (uint32_t i = 0; i < tyf_management_application.stat_count; i++) {
        tyf_cbor_add_text(&exchange->reply, NULL, tyf_management_application.stats[i].name);
    }
    tyf_cbor_end(&exchange->reply);
    return TYF_SMP_OK;
}

const tyf_smp_command tyf_management_stat_commands[TYF_MANAGEMENT_STAT_COMMANDS] = {
    {TYF_MESSAGE_STAT_READ, .handler = read_group},
    {TYF_MESSAGE_STAT_LIST, .handler = list_groups},
};
