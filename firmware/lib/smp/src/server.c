#include "tyf/smp/server.h"

#include <stddef.h>

#include "tyf/core/bytes.h"

/* Header of a message: op and version, flags, payload length (big-endian), group (big-endian), sequence, command. */
#define HEADER_BYTES 8u
#define OP_READ 0u
#define OP_WRITE 2u
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

void tyf_smp_server_init(tyf_smp_server *server, const tyf_smp_command_group *groups, uint32_t group_count,
                         tyf_smp_transmit transmit, void *context) {
    server->groups = groups;
    server->group_count = group_count;
    server->transmit = transmit;
    server->context = context;
    server->bad_messages = 0;
    tyf_smp_console_init(&server->console);
}

static const tyf_smp_command *find_command(const tyf_smp_server *server, uint16_t group, uint8_t command) {
    for (uint32_t g = 0; g < server->group_count; g++) {
        const tyf_smp_command_group *candidate = &server->groups[g];
        for (uint32_t c = 0; candidate->id == group && c < candidate->count; c++) {
            if (candidate->commands[c].id == command) {
                return &candidate->commands[c];
            }
        }
    }
    return NULL;
}

/* Run the command's handler, if there is one and the request is sound. */
static int run_command(const tyf_smp_command *command, const message_header *header, tyf_smp_exchange *exchange,
                       const uint8_t *payload, uint32_t payload_bytes) {
    if (header->version > VERSION_2) {
        return TYF_SMP_ETOONEW;
    }
    tyf_smp_handler handler = NULL;
    if (command != NULL) {
        handler = header->op == OP_READ ? command->on_read : command->on_write;
    }
    if (handler == NULL) {
        return TYF_SMP_ENOTSUP;
    }
    if (tyf_cbor_map_open(&exchange->request, payload, payload_bytes) != TYF_OK) {
        return TYF_SMP_EINVAL;
    }
    return handler(exchange);
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

static void begin_reply(tyf_smp_server *server, tyf_cbor_writer *reply) {
    tyf_cbor_writer_init(reply, server->reply + HEADER_BYTES, sizeof server->reply - HEADER_BYTES);
    tyf_cbor_begin_map(reply);
}

static void send_reply(tyf_smp_server *server, const message_header *header, uint32_t payload_bytes) {
    server->reply[0] = (uint8_t)((uint32_t)header->version << VERSION_SHIFT | (header->op + REPLY_OP_OFFSET));
    server->reply[1] = 0;
    tyf_put_u16_be(server->reply + 2, (uint16_t)payload_bytes);
    tyf_put_u16_be(server->reply + 4, header->group);
    server->reply[6] = header->sequence;
    server->reply[7] = header->command;
    tyf_smp_console_send(server->reply, HEADER_BYTES + payload_bytes, server->transmit, server->context);
}

static void answer(tyf_smp_server *server, const uint8_t *message, uint32_t bytes) {
    if (bytes < HEADER_BYTES || tyf_get_u16_be(message + 2) != bytes - HEADER_BYTES) {
        server->bad_messages++;
        return;
    }
    const message_header header = {
        .op = message[0] & OP_MASK,
        .version = message[0] >> VERSION_SHIFT & VERSION_MASK,
        .group = tyf_get_u16_be(message + 4),
        .sequence = message[6],
        .command = message[7],
    };
    if (header.op != OP_READ && header.op != OP_WRITE) {
        server->bad_messages++;
        return;
    }
    const tyf_smp_command *command = find_command(server, header.group, header.command);
    tyf_smp_exchange exchange;
    begin_reply(server, &exchange.reply);
    int result = run_command(command, &header, &exchange, message + HEADER_BYTES, bytes - HEADER_BYTES);
    tyf_cbor_end(&exchange.reply);
    if (result == TYF_SMP_OK && !tyf_cbor_writer_is_ok(&exchange.reply)) {
        result = TYF_SMP_EMSGSIZE;
    }
    if (result != TYF_SMP_OK) {
        begin_reply(server, &exchange.reply);
        write_error(&exchange.reply, &header, result);
        tyf_cbor_end(&exchange.reply);
    }
    send_reply(server, &header, tyf_cbor_writer_bytes(&exchange.reply));
    if (result == TYF_SMP_OK && header.op == OP_WRITE && command->after_write != NULL) {
        command->after_write();
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
