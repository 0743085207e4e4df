/**
 * SMP server on a link that carries messages as they are, in pieces of any size: each begins with its header, which
 * says how long it is. Requests that wait stay in their order; one is answered at a time, and its reply taken piece by
 * piece as the link has room.
 *
 *     static tyf_smp_raw server;
 *     tyf_smp_raw_init(&server, &registry, TYF_SMP_TRUST_RADIO);
 *
 *     tyf_smp_raw_receive(&server, piece, piece_bytes);
 *     while (tyf_smp_raw_answer(&server)) {
 *         uint32_t bytes;
 *         while ((bytes = tyf_smp_raw_reply_bytes(&server)) > 0) {
 *             tyf_smp_raw_sent(&server, send(tyf_smp_raw_reply(&server), bytes));
 *         }
 *         tyf_smp_raw_finish(&server);
 *     }
 */
#ifndef TYF_SMP_RAW_H
#define TYF_SMP_RAW_H

#include <stdbool.h>
#include <stdint.h>

#include "tyf/smp/server.h"

/** Requests that may wait: as many bytes as a host may have under way. */
#define TYF_SMP_RAW_BYTES (TYF_SMP_FRAMES_AT_ONCE * (uint32_t)TYF_CFG_SMP_FRAME_BYTES)

/** Private fields. */
typedef struct {
    const tyf_smp_registry *registry;
    tyf_smp_trust trust;
    bool is_lost;        /* where messages begin: until the next pause */
    bool is_answering;   /* a reply is there, or its end is to be done */
    tyf_smp_after after; /* of the reply */
    uint32_t bad_messages;
    uint32_t waiting_bytes;
    uint32_t reply_bytes, sent_bytes;
    uint8_t waiting[TYF_SMP_RAW_BYTES];
    uint8_t reply[TYF_CFG_SMP_FRAME_BYTES];
} tyf_smp_raw;

/**
 * @param registry  must outlive the server
 * @param trust     of everyone on this link
 */
void tyf_smp_raw_init(tyf_smp_raw *server, const tyf_smp_registry *registry, tyf_smp_trust trust);

/** The link ended: forget what came and what was to be sent, but do what was to be done after it. */
void tyf_smp_raw_reset(tyf_smp_raw *server);

/** Take a piece. What there is no room for is lost, and all that follows until a pause. */
void tyf_smp_raw_receive(tyf_smp_raw *server, const uint8_t *data, uint32_t bytes);

/** Nothing came for a while: a message that was not complete will not be. The next piece begins a message. */
void tyf_smp_raw_pause(tyf_smp_raw *server);

/**
 * Answer the next request, when there is a whole one and the reply before is finished. Its handler is called from
 * within.
 *
 * @return true when it did
 */
bool tyf_smp_raw_answer(tyf_smp_raw *server);

/** @return bytes of the reply that are to be sent */
static inline uint32_t tyf_smp_raw_reply_bytes(const tyf_smp_raw *server) {
    return server->reply_bytes - server->sent_bytes;
}

/** Those bytes. */
static inline const uint8_t *tyf_smp_raw_reply(const tyf_smp_raw *server) {
    return server->reply + server->sent_bytes;
}

/** The link has taken so many of them. */
static inline void tyf_smp_raw_sent(tyf_smp_raw *server, uint32_t bytes) {
    server->sent_bytes += bytes;
}

/** @return whether a reply has been taken by the link as a whole, and not been finished */
static inline bool tyf_smp_raw_is_sent(const tyf_smp_raw *server) {
    return server->is_answering && server->sent_bytes == server->reply_bytes;
}

/** The reply has reached the peer: do what was to be done after it. */
void tyf_smp_raw_finish(tyf_smp_raw *server);

#endif
