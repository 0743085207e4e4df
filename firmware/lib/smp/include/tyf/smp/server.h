/**
 * SMP server: from one request message to one reply. Commands are rows of a table.
 *
 *     static int32_t echo(const tyf_smp_request *request, tyf_cbor_writer *reply) { ... }
 *
 *     static const tyf_smp_command commands[] = {
 *         {TYF_SMP_GROUP_OS, 0, TYF_SMP_READ | TYF_SMP_WRITE, echo},
 *     };
 *
 *     uint32_t bytes = tyf_smp_serve(commands, 1, message, message_bytes, reply, sizeof reply);
 */
#ifndef TYF_SMP_SERVER_H
#define TYF_SMP_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "tyf/cbor/reader.h"
#include "tyf/cbor/writer.h"

#define TYF_SMP_HEADER_BYTES 8u

/** Results that any group may give; numbers are MCUmgr's. Handlers return one of these, or a tyf_status of their group. */
enum {
    TYF_SMP_OK = 0,
    TYF_SMP_UNKNOWN = 1,
    TYF_SMP_INVALID = 3,      /**< a value of the request is missing or wrong */
    TYF_SMP_TOO_LARGE = 7,    /**< the reply does not fit */
    TYF_SMP_UNSUPPORTED = 8,  /**< no such command */
};

/** Operations of a command, as bits. */
enum {
    TYF_SMP_READ = 1,
    TYF_SMP_WRITE = 2,
};

/** What a handler sees of a request. */
typedef struct {
    tyf_cbor_map map;
    bool is_write;
} tyf_smp_request;

/**
 * Handle one command: read the request's keys, add the reply's keys to a map that is open already.
 *
 * @return TYF_SMP_OK, another positive TYF_SMP_ value, or a negative tyf_status, sent as error of the group
 */
typedef int32_t (*tyf_smp_handler)(const tyf_smp_request *request, tyf_cbor_writer *reply);

/** A row of the command table. */
typedef struct {
    uint16_t group;
    uint8_t id;
    uint8_t operations; /**< TYF_SMP_READ, TYF_SMP_WRITE or both */
    tyf_smp_handler handle;
} tyf_smp_command;

/**
 * Answer one message. Its bytes are not trusted.
 *
 * @param commands       the table
 * @param command_count  its rows
 * @param message        header and payload
 * @param bytes          size of the message
 * @param reply          buffer for header and payload of the reply; must not overlap message
 * @param capacity       at least 64
 *
 * @return size of the reply; 0 when the message is no request and must be dropped
 */
uint32_t tyf_smp_serve(const tyf_smp_command *commands, uint32_t command_count, const uint8_t *message, uint32_t bytes,
                       uint8_t *reply, uint32_t capacity);

#endif
