#include "tyf/smp/server.h"

#include <stddef.h>

#include "tyf/core/bytes.h"

#define HEADER_BYTES TYF_SMP_HEADER_BYTES
#define OP_MASK 7u
#define VERSION_SHIFT 3u
#define VERSION_MASK 3u
#define VERSION_2 1u
#define REPLY_OP_OFFSET 1u

/* A parsed header. */
typedef struct {
    uint8_t op;
    uint8_t version;
    uint16_t group;
    uint8_t sequence;
    uint8_t command;
} message_header;

void tyf_smp_server_init(tyf_smp_server *server, const tyf_smp_registry *registry, tyf_smp_trust trust,
                         tyf_smp_transmit transmit, void *context) {
    server->registry = registry;
    server->trust = trust;
    server->transmit = transmit;
    server->context = context;
    server->bad_messages = 0;
    tyf_smp_console_init(&server->console);
}

static const tyf_smp_command *find_command(const tyf_smp_registry *registry, const message_header *header) {
    for (uint32_t g = 0; g < registry->count; g++) {
        const tyf_smp_command_group *group = &registry->groups[g];
        for (uint32_t c = 0; group->id == header->group && c < group->count; c++) {
            const tyf_smp_command *command = &group->commands[c];
            if (command->id == header->command && (command->op == header->op || command->op == TYF_SMP_OP_EITHER)) {
                return command;
            }
        }
    }
    return NULL;
}

/* Run the command's handler, if there is one, the sender may, and the request is sound. */
static int run_command(const tyf_smp_registry *registry, const tyf_smp_command *command, const message_header *header,
                       tyf_smp_exchange *exchange, const uint8_t *payload, uint32_t payload_bytes) {
    if (header->version > VERSION_2) {
        return TYF_SMP_ETOONEW;
    }
    if (command == NULL) {
        return TYF_SMP_ENOTSUP;
    }
    const int denied =
        registry->policy != NULL ? registry->policy(command, header->group, exchange->trust) : TYF_SMP_OK;
    if (denied != TYF_SMP_OK) {
        return denied;
    }
    tyf_cbor_map map;
    tyf_smp_any_request request;
    if (tyf_cbor_map_open(&map, payload, payload_bytes) != TYF_OK ||
        !tyf_smp_decode(&map, command->fields, command->field_count, &request)) {
        return TYF_SMP_EINVAL;
    }
    exchange->request = &request;
    return command->handler(exchange);
}

/* Version 2 has errors of a group; version 1, and generic errors in both, a plain number. */
static void write_error(tyf_cbor_writer *reply, const message_header *header, int result) {
    if (result < 0 && header->version >= VERSION_2) {
        tyf_cbor_add_map(reply, "err");
        tyf_cbor_add_uint(reply, "group", header->group);
        tyf_cbor_add_uint(reply, "rc", (uint64_t)-result);
        tyf_cbor_end(reply);
    } else {
        tyf_cbor_add_uint(reply, "rc", result < 0 ? TYF_SMP_EUNKNOWN : (uint64_t)result);
    }
}

static void begin_reply(tyf_cbor_writer *writer, uint8_t *reply, uint32_t capacity) {
    tyf_cbor_writer_init(writer, reply + HEADER_BYTES, capacity - HEADER_BYTES);
    tyf_cbor_begin_map(writer);
}

static void write_header(uint8_t *reply, const message_header *header, uint32_t payload_bytes) {
    reply[0] = (uint8_t)((uint32_t)header->version << VERSION_SHIFT | (header->op + REPLY_OP_OFFSET));
    reply[1] = 0;
    tyf_put_u16_be(reply + 2, (uint16_t)payload_bytes);
    tyf_put_u16_be(reply + 4, header->group);
    reply[6] = header->sequence;
    reply[7] = header->command;
}

uint32_t tyf_smp_answer(const tyf_smp_registry *registry, tyf_smp_trust trust, const uint8_t *message, uint32_t bytes,
                        uint8_t *reply, uint32_t capacity, tyf_smp_after *after) {
    *after = NULL;
    if (bytes < HEADER_BYTES || tyf_get_u16_be(message + 2) != bytes - HEADER_BYTES) {
        return 0;
    }
    const message_header header = {
        .op = message[0] & OP_MASK,
        .version = message[0] >> VERSION_SHIFT & VERSION_MASK,
        .group = tyf_get_u16_be(message + 4),
        .sequence = message[6],
        .command = message[7],
    };
    if (header.op != TYF_SMP_OP_READ && header.op != TYF_SMP_OP_WRITE) {
        return 0;
    }
    const tyf_smp_command *command = find_command(registry, &header);
    tyf_smp_exchange exchange = {.trust = trust, .after = command != NULL ? command->after : NULL};
    begin_reply(&exchange.reply, reply, capacity);
    int result = run_command(registry, command, &header, &exchange, message + HEADER_BYTES, bytes - HEADER_BYTES);
    tyf_cbor_end(&exchange.reply);
    if (result == TYF_SMP_OK && !tyf_cbor_writer_is_ok(&exchange.reply)) {
        result = TYF_SMP_EMSGSIZE;
    }
    if (result != TYF_SMP_OK) {
        begin_reply(&exchange.reply, reply, capacity);
        write_error(&exchange.reply, &header, result);
        tyf_cbor_end(&exchange.reply);
    } else {
        *after = exchange.after;
    }
    if (registry->note != NULL) {
        registry->note(&(tyf_smp_note){header.group, header.command, header.op, trust, result});
    }
    const uint32_t payload_bytes = tyf_cbor_writer_bytes(&exchange.reply);
    write_header(reply, &header, payload_bytes);
    return HEADER_BYTES + payload_bytes;
}

static void answer(tyf_smp_server *server, const uint8_t *message, uint32_t bytes) {
    tyf_smp_after after;
    const uint32_t count =
        tyf_smp_answer(server->registry, server->trust, message, bytes, server->reply, sizeof server->reply, &after);
    if (count == 0) {
        server->bad_messages++;
        return;
    }
    tyf_smp_console_send(server->reply, count, server->transmit, server->context);
    if (after != NULL) {
        after();
    }
}

void tyf_smp_server_receive(tyf_smp_server *server, const uint8_t *data, uint32_t bytes) {
    for (uint32_t i = 0; i < bytes; i++) {
        if (tyf_smp_console_receive(&server->console, data[i])) {
            answer(server, tyf_smp_console_message(&server->console), server->console.message_bytes);
        }
    }
}

uint32_t tyf_smp_server_bad_frames(const tyf_smp_server *server) {
    return server->console.bad_frames + server->bad_messages;
}
