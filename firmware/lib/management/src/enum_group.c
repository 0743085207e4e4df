/* SMP group 10: which groups this board answers. */
#include <stddef.h>

#include "management.h"

static int count(tyf_smp_exchange *exchange) {
    const tyf_smp_registry *listed = tyf_management_application.registry;
    tyf_cbor_add_uint(&exchange->reply, "count", listed->count);
    return TYF_SMP_OK;
}

static int list(tyf_smp_exchange *exchange) {
    const tyf_smp_registry *listed = tyf_management_application.registry;
    tyf_cbor_add_array(&exchange->reply, "groups");
    for (uint32_t i = 0; i < listed->count; i++) {
        tyf_cbor_add_uint(&exchange->reply, NULL, listed->groups[i].id);
    }
    tyf_cbor_end(&exchange->reply);
    return TYF_SMP_OK;
}

static int single(tyf_smp_exchange *exchange) {
    const tyf_smp_registry *listed = tyf_management_application.registry;
    const tyf_group_single_request *request = exchange->request;
    if (request->index >= listed->count) {
        return -TYF_ENUM_ERR_INDEX_TOO_LARGE;
    }
    tyf_cbor_add_uint(&exchange->reply, "group", listed->groups[request->index].id);
    if (request->index + 1u == listed->count) {
        tyf_cbor_add_bool(&exchange->reply, "end", true);
    }
    return TYF_SMP_OK;
}

static int details(tyf_smp_exchange *exchange) {
    const tyf_smp_registry *listed = tyf_management_application.registry;
    tyf_cbor_writer *reply = &exchange->reply;
    tyf_cbor_add_array(reply, "groups");
    for (uint32_t i = 0; i < listed->count; i++) {
        tyf_cbor_add_map(reply, NULL);
        tyf_cbor_add_uint(reply, "group", listed->groups[i].id);
        tyf_cbor_add_text(reply, "name", listed->groups[i].name);
        tyf_cbor_add_uint(reply, "handlers", listed->groups[i].count);
        tyf_cbor_end(reply);
    }
    tyf_cbor_end(reply);
    return TYF_SMP_OK;
}

const tyf_smp_command tyf_management_enum_commands[TYF_MANAGEMENT_ENUM_COMMANDS] = {
    {TYF_MESSAGE_GROUP_COUNT, .handler = count},
    {TYF_MESSAGE_GROUP_LIST, .handler = list},
    {TYF_MESSAGE_GROUP_SINGLE, .handler = single},
    {TYF_MESSAGE_GROUP_DETAILS, .handler = details},
};
