/**
 * SMP server: takes bytes of a link, answers each intact request with exactly one reply. Commands are entries of
 * constant tables, one table a group.
 *
 *     static int echo(tyf_smp_exchange *exchange) {
 *         tyf_cbor_string text;
 *         if (tyf_cbor_find_text(&exchange->request, "d", &text) != TYF_OK) {
 *             return TYF_SMP_EINVAL;
 *         }
 *         tyf_cbor_add_text_n(&exchange->reply, "r", text.data, text.bytes);
 *         return TYF_SMP_OK;
 *     }
 *
 *     static const tyf_smp_command commands[] = {{.id = 0, .on_read = echo, .on_write = echo}};
 *     static const tyf_smp_command_group groups[] = {{.id = 0, .commands = commands, .count = 1}};
 *
 *     static tyf_smp_server server;
 *     tyf_smp_server_init(&server, groups, 1, transmit, NULL);
 *     tyf_smp_server_receive(&server, bytes, byte_count);
 */
#ifndef TYF_SMP_SERVER_H
#define TYF_SMP_SERVER_H

#include <stdint.h>

#include "tyf/cbor/reader.h"
#include "tyf/cbor/writer.h"
#include "tyf/smp/console.h"

/** Generic results of a command (the protocol's own numbers). */
enum {
    TYF_SMP_OK = 0,
    TYF_SMP_EUNKNOWN = 1,
    TYF_SMP_EINVAL = 3,
    TYF_SMP_EMSGSIZE = 7,
    TYF_SMP_ENOTSUP = 8,
    TYF_SMP_ETOONEW = 13,
};

/** One request being answered. The outermost map of the reply is open. */
typedef struct {
    tyf_cbor_map request;
    tyf_cbor_writer reply;
} tyf_smp_exchange;

/**
 * Answer one request: read exchange->request, add to exchange->reply.
 *
 * @return TYF_SMP_OK; a generic TYF_SMP_* error; or a negative tyf_status, sent as an error of the command's group.
 *         After an error what was added to the reply is discarded.
 */
typedef int (*tyf_smp_handler)(tyf_smp_exchange *exchange);

/** A command; NULL where the operation is not supported. */
typedef struct {
    uint8_t id;
    tyf_smp_handler on_read;
    tyf_smp_handler on_write;
    /** Runs when the reply to a successful write has been sent; NULL: nothing. */
    void (*after_write)(void);
} tyf_smp_command;

/** A group of commands. */
typedef struct {
    uint16_t id;
    uint16_t count;
    const tyf_smp_command *commands;
} tyf_smp_command_group;

/** A server on one link. Private fields. */
typedef struct {
    const tyf_smp_command_group *groups;
    uint32_t group_count;
    tyf_smp_transmit transmit;
    void *context;
    uint32_t bad_messages;
    tyf_smp_console console;
    uint8_t reply[TYF_SMP_MESSAGE_BYTES];
} tyf_smp_server;

/**
 * @param groups    must outlive the server
 * @param transmit  called with the bytes of each reply
 */
void tyf_smp_server_init(tyf_smp_server *server, const tyf_smp_command_group *groups, uint32_t group_count,
                         tyf_smp_transmit transmit, void *context);

/** Take received bytes; handlers and transmit are called from within. */
void tyf_smp_server_receive(tyf_smp_server *server, const uint8_t *data, uint32_t bytes);

/** Frames and messages that were dropped without an answer because they were damaged. */
uint32_t tyf_smp_server_bad_frames(const tyf_smp_server *server);

#endif
