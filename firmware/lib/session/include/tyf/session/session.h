/**
 * A channel that only who holds this device's pre-shared key can open: the responder of
 * Noise_NNpsk0_25519_ChaChaPoly_BLAKE2b, bound to the device id, and its records. docs/spec/security.md has the bytes.
 *
 *     static tyf_session session;
 *     tyf_session_init(&session, device_id);
 *     tyf_session_provision(&session, psk);
 *
 *     tyf_session_accept(&session, request, answer);                       // a host asks for a session
 *     if (tyf_session_open(&session, counter, record, record_bytes) == TYF_OK) {
 *         ...                                                              // record holds what the host sent
 *         tyf_session_seal(&session, reply, reply_bytes, &counter, mac);
 *     }
 *
 * A new session replaces the old one with its first record, not before: who replays a request gains nothing by it.
 */
#ifndef TYF_SESSION_SESSION_H
#define TYF_SESSION_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "tyf/core/wire.h"
#include "tyf/port/crypto.h"

/** Keys and counters of one session. */
typedef struct {
    tyf_key receive, send;
    uint32_t next_receive, next_send;
} tyf_session_keys;

/** One link's session. Private fields. */
typedef struct {
    uint8_t device_id[TYF_DEVICE_ID_BYTES];
    tyf_key psk;
    tyf_session_keys current, offered;
} tyf_session;

/** Start without key and session; the keys of an earlier use of this memory are not freed. */
void tyf_session_init(tyf_session *session, const uint8_t device_id[TYF_DEVICE_ID_BYTES]);

/** Take the device's key, and end every session. @return TYF_OK or TYF_ERR_STATE (no room for a key) */
tyf_status tyf_session_provision(tyf_session *session, const uint8_t psk[TYF_SESSION_PSK_BYTES]);

/** @return whether a host could open a session */
bool tyf_session_is_provisioned(const tyf_session *session);

/**
 * Answer a host that asks for a session.
 *
 * @return TYF_OK; TYF_ERR_SIGNATURE: it does not hold the key, or means another device; TYF_ERR_NO_IDENTITY: no
 * randomness; TYF_ERR_STATE: not provisioned
 */
tyf_status tyf_session_accept(tyf_session *session, const uint8_t request[TYF_SESSION_HELLO_BYTES],
                              uint8_t answer[TYF_SESSION_HELLO_BYTES]);

/**
 * Open a record in place: bytes of data, then its MAC.
 *
 * @param counter  that of the record; must be larger than that of each record before
 * @param bytes    MAC included
 *
 * @return TYF_OK; TYF_ERR_STATE: there is no session; TYF_ERR_SIGNATURE: not of this session, changed, repeated or out
 * of order; data is as it was
 */
tyf_status tyf_session_open(tyf_session *session, uint32_t counter, uint8_t *record, uint32_t bytes);

/**
 * Seal an answer in place, in the session of the last opened record.
 *
 * @param[out] counter  goes with the record
 *
 * @return TYF_OK; TYF_ERR_STATE: there is no session, or its counter is used up
 */
tyf_status tyf_session_seal(tyf_session *session, uint8_t *data, uint32_t bytes, uint32_t *counter,
                            uint8_t mac[TYF_MAC_BYTES]);

/** End the session. */
void tyf_session_close(tyf_session *session);

#endif
