#include "tyf/smp/server.h"

#include <stddef.h>

#include "tyf/core/bytes.h"

#define OP_WRITE 2u
#define VERSION_2 1u

/* The header, decoded: op and version in the first byte, then flags, length, group, sequence, command. */
typedef struct {
    uint8_t op, version, sequence, command;
    uint16_t payload_bytes, group;
} header;

static bool read_header(const uint8_t *message, uint32_t bytes, header *head)
{
    if (bytes < TYF_SMP_HEADER_BYTES) {
        return false;
    }
    head->op = message[0] & 7u;
    head->version = message[0] >> 3 & 3u;
    head->payload_bytes = tyf_get_u16_be(message + 2);
    head->group = tyf_get_u16_be(message + 4);
    head->sequence = message[6];
    head->command = message[7];
    return (head->op == 0 || head->op == OP_WRITE) && head->payload_bytes == bytes - TYF_SMP_HEADER_BYTES;
}

static const tyf_smp_command *find_command(const tyf_smp_command *commands, uint32_t count, const header *head)
{
    const uint8_t operation = head->op == OP_WRITE ? TYF_SMP_WRITE : TYF_SMP_READ;
    for (uint32_t i = 0; i < count; i++) {
        if (commands[i].group == head->group && commands[i].id == head->command && (commands[i].operations & operation)) {
            return &commands[i];
        }
    }
    return NULL;
}

static void write_error(const header *head, int32_t result, tyf_cbor_writer *reply)
{
    if (result < 0 && head->version >= VERSION_2) {
        tyf_cbor_add_map(reply, "err");
        tyf_cbor_add_uint(reply, "group", head->group);
        tyf_cbor_add_uint(reply, "rc", (uint32_t)-result);
        tyf_cbor_end(reply);
        return;
    }
    tyf_cbor_add_uint(reply, "rc", result < 0 ? TYF_SMP_UNKNOWN : (uint32_t)result);
}

static int32_t run_command(const tyf_smp_command *command, const header *head, const uint8_t *payload, tyf_cbor_writer *reply)
{
    if (command == NULL) {
        return TYF_SMP_UNSUPPORTED;
    }
    tyf_smp_request request = {.is_write = head->op == OP_WRITE};
    if (tyf_cbor_map_open(&request.map, payload, head->payload_bytes) != TYF_OK) {
        return TYF_SMP_INVALID;
    }
    return command->handle(&request, reply);
}

uint32_t tyf_smp_serve(const tyf_smp_command *commands, uint32_t command_count, const uint8_t *message, uint32_t bytes,
                       uint8_t *reply, uint32_t capacity)
{
    header head;
    if (!read_header(message, bytes, &head)) {
        return 0;
    }
    uint8_t *payload = reply + TYF_SMP_HEADER_BYTES;
    tyf_cbor_writer writer;
    tyf_cbor_writer_init(&writer, payload, capacity - TYF_SMP_HEADER_BYTES);
    tyf_cbor_begin_map(&writer);
    int32_t result = run_command(find_command(commands, command_count, &head), &head, message + TYF_SMP_HEADER_BYTES, &writer);
    tyf_cbor_end(&writer);
    if (result == TYF_SMP_OK && !tyf_cbor_writer_is_ok(&writer)) {
        result = TYF_SMP_TOO_LARGE;
    }
    if (result != TYF_SMP_OK) {
        tyf_cbor_writer_init(&writer, payload, capacity - TYF_SMP_HEADER_BYTES);
        tyf_cbor_begin_map(&writer);
        write_error(&head, result, &writer);
        tyf_cbor_end(&writer);
    }
    const uint32_t payload_bytes = tyf_cbor_writer_bytes(&writer);
    reply[0] = (uint8_t)(head.version << 3 | (head.op + 1u));
    reply[1] = 0;
    tyf_put_u16_be(reply + 2, (uint16_t)payload_bytes);
    tyf_put_u16_be(reply + 4, head.group);
    reply[6] = head.sequence;
    reply[7] = head.command;
    return TYF_SMP_HEADER_BYTES + payload_bytes;
}
