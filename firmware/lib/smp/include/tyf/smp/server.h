/**
 * SMP server: takes bytes of a link, answers each intact request with exactly one reply. Commands are entries of
 * constant tables, one table a group; what a request may hold is declared in tinyfleet_codegen/wire/messages.py.
 *
 *     static int echo(tyf_smp_exchange *exchange) {
 *         const tyf_echo_request *request = exchange->request;
 *         tyf_cbor_add_text_n(&exchange->reply, "r", request->d.data, request->d.bytes);
 *         return TYF_SMP_OK;
 *     }
 *
 *     static const tyf_smp_command commands[] = {{TYF_MESSAGE_ECHO, .handler = echo}};
 *     static const tyf_smp_command_group groups[] = {{.id = 0, .name = "os", .commands = commands, .count = 1}};
 *     static const tyf_smp_registry registry = {.groups = groups, .count = 1};
 *
 *     static tyf_smp_server server;
 *     tyf_smp_server_init(&server, &registry, TYF_SMP_TRUST_OPEN, transmit, NULL);
 *     tyf_smp_server_receive(&server, bytes, byte_count);
 */
#ifndef TYF_SMP_SERVER_H
#define TYF_SMP_SERVER_H

#include <stdint.h>

#include "tyf/cbor/writer.h"
#include "tyf/smp/console.h"
#include "tyf/smp/messages.h"

/** Of every message: op and version, flags, payload length (big-endian), group (big-endian), sequence, command. */
#define TYF_SMP_HEADER_BYTES 8u

/** Generic results of a command (the protocol's own numbers). */
enum {
    TYF_SMP_OK = 0,
    TYF_SMP_EUNKNOWN = 1,
    TYF_SMP_ENOMEM = 2,
    TYF_SMP_EINVAL = 3,
    TYF_SMP_EBADSTATE = 6,
    TYF_SMP_EMSGSIZE = 7,
    TYF_SMP_ENOTSUP = 8,
    TYF_SMP_EACCESSDENIED = 11,
    TYF_SMP_ETOONEW = 13,
};

/** What a request does. */
enum {
    TYF_SMP_OP_READ = 0,
    TYF_SMP_OP_WRITE = 2,
    TYF_SMP_OP_EITHER = 255,
};

/** Who may send a message where a policy protects the link. */
typedef enum {
    TYF_SMP_ACCESS_OPEN,    /**< anyone */
    TYF_SMP_ACCESS_WIRE,    /**< anyone at a wire; in the air who holds a session */
    TYF_SMP_ACCESS_SESSION, /**< who holds a session */
} tyf_smp_access;

/** What is known about who sent a message. */
typedef enum {
    TYF_SMP_TRUST_OPEN,    /**< nothing, but it came by a wire */
    TYF_SMP_TRUST_RADIO,   /**< nothing, and it came through the air */
    TYF_SMP_TRUST_SESSION, /**< it came through an authenticated session */
} tyf_smp_trust;

/** What is to be done once a reply has been sent. */
typedef void (*tyf_smp_after)(void);

/** One request being answered. The outermost map of the reply is open. */
typedef struct {
    const void *request; /**< decoded: its tyf_<name>_request; strings in it point into the message */
    tyf_cbor_writer reply;
    tyf_smp_trust trust;
    tyf_smp_after after; /**< the command's own at first; a handler may have its own idea */
} tyf_smp_exchange;

/**
 * Answer one request: read exchange->request, add to exchange->reply.
 *
 * @return TYF_SMP_OK; a generic TYF_SMP_* error; or a negative number whose magnitude is sent as an error of the
 *         command's group: a tyf_status in groups from 64 on, -TYF_IMAGE_ERR_... and so on below.
 *         After an error what was added to the reply is discarded.
 */
typedef int (*tyf_smp_handler)(tyf_smp_exchange *exchange);

/** A command: TYF_MESSAGE_<NAME> and its handler. */
typedef struct {
    uint8_t id;
    uint8_t op;          /**< TYF_SMP_OP_* */
    uint8_t access;      /**< tyf_smp_access */
    uint8_t field_count; /**< of the request */
    const tyf_smp_field *fields;
    tyf_smp_handler handler;
    tyf_smp_after after; /**< runs when the reply to a success has been sent; NULL: nothing */
} tyf_smp_command;

/** A group of commands. */
typedef struct {
    uint16_t id;
    uint16_t count;
    const char *name;
    const tyf_smp_command *commands;
} tyf_smp_command_group;

/** A request that was answered. */
typedef struct {
    uint16_t group;
    uint8_t command;
    uint8_t op; /**< TYF_SMP_OP_READ or TYF_SMP_OP_WRITE */
    tyf_smp_trust trust;
    int result; /**< as of a handler */
} tyf_smp_note;

/** All that a board answers; the enumeration group lists it. */
typedef struct {
    const tyf_smp_command_group *groups;
    uint32_t count;
    /** @return TYF_SMP_OK or why not, usually TYF_SMP_EACCESSDENIED; NULL: everyone may do everything */
    int (*policy)(const tyf_smp_command *command, uint16_t group, tyf_smp_trust trust);
    /** Told of each request and how it ended, for a log; NULL: nobody asks. */
    void (*note)(const tyf_smp_note *note);
} tyf_smp_registry;

/** A server on one link. Private fields. */
typedef struct {
    const tyf_smp_registry *registry;
    tyf_smp_trust trust;
    tyf_smp_transmit transmit;
    void *context;
    uint32_t bad_messages;
    tyf_smp_console console;
    uint8_t reply[TYF_SMP_MESSAGE_BYTES];
} tyf_smp_server;

/**
 * @param registry  must outlive the server
 * @param trust     of everyone on this link
 * @param transmit  called with the bytes of each reply
 */
void tyf_smp_server_init(tyf_smp_server *server, const tyf_smp_registry *registry, tyf_smp_trust trust,
                         tyf_smp_transmit transmit, void *context);

/** Take received bytes; handlers and transmit are called from within. */
void tyf_smp_server_receive(tyf_smp_server *server, const uint8_t *data, uint32_t bytes);

/** Frames and messages that were dropped without an answer because they were damaged. */
uint32_t tyf_smp_server_bad_frames(const tyf_smp_server *server);

/**
 * Answer one message without a link: for who carries messages otherwise, such as a session. A handler may call it for
 * the message that it unwrapped, with a buffer of its own.
 *
 * @param[out] reply     the whole reply, header included; must not overlap the message
 * @param[in]  capacity  at least 64
 * @param[out] after     what to do when the reply has been sent; NULL: nothing
 * @return bytes of the reply, 0: the message is no request and gets no answer
 */
uint32_t tyf_smp_answer(const tyf_smp_registry *registry, tyf_smp_trust trust, const uint8_t *message, uint32_t bytes,
                        uint8_t *reply, uint32_t capacity, tyf_smp_after *after);

#endif
