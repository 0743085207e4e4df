#include "tyf/session/session.h"

#include <stddef.h>
#include <string.h>

/* The state of a handshake, with the names of the Noise specification. */
typedef struct {
    tyf_key ck, k;
    uint8_t h[TYF_HASH_BYTES];
} handshake;

static const uint8_t protocol[TYF_HASH_BYTES] = "Noise_NNpsk0_25519_ChaChaPoly_BLAKE2b";
static const char prologue[] = "tinyfleet session 1";

static void destroy_keys(tyf_session_keys *keys) {
    tyf_port_key_destroy(&keys->receive);
    tyf_port_key_destroy(&keys->send);
    keys->next_receive = 0;
    keys->next_send = 0;
}

void tyf_session_init(tyf_session *session, const uint8_t device_id[TYF_DEVICE_ID_BYTES]) {
    *session = (tyf_session){0};
    memcpy(session->device_id, device_id, TYF_DEVICE_ID_BYTES);
}

tyf_status tyf_session_provision(tyf_session *session, const uint8_t psk[TYF_SESSION_PSK_BYTES]) {
    tyf_session_close(session);
    tyf_port_key_destroy(&session->psk);
    return tyf_port_key_import(TYF_KEY_DERIVE, psk, TYF_SESSION_PSK_BYTES, &session->psk);
}

bool tyf_session_is_provisioned(const tyf_session *session) {
    return session->psk != 0;
}

void tyf_session_close(tyf_session *session) {
    destroy_keys(&session->current);
    destroy_keys(&session->offered);
}

static void mix_hash(handshake *state, const void *data, uint32_t bytes) {
    tyf_port_hash((const tyf_crypto_piece[]){{state->h, sizeof state->h}, {data, bytes}}, 2, state->h);
}

/* The last output is the new k; a second one of three goes into h. */
static tyf_status mix_key(handshake *state, tyf_key secret, bool into_hash) {
    static const tyf_key_use two[] = {TYF_KEY_DERIVE, TYF_KEY_AEAD};
    static const tyf_key_use three[] = {TYF_KEY_DERIVE, TYF_KEY_PUBLIC, TYF_KEY_AEAD};
    tyf_key outputs[3];
    const uint32_t count = into_hash ? 3u : 2u;
    tyf_port_key_destroy(&state->k);
    tyf_status status = tyf_port_key_derive(state->ck, secret, into_hash ? three : two, outputs, count);
    if (status != TYF_OK) {
        return status;
    }
    tyf_port_key_destroy(&state->ck);
    state->ck = outputs[0];
    state->k = outputs[count - 1u];
    if (into_hash) {
        uint8_t mixed[TYF_HASH_BYTES];
        status = tyf_port_key_export(outputs[1], mixed);
        tyf_port_key_destroy(&outputs[1]);
        mix_hash(state, mixed, sizeof mixed);
    }
    return status;
}

/* Token e: with a pre-shared key the public key also goes into the keys. */
static tyf_status mix_public(handshake *state, const uint8_t public_key[TYF_PUBLIC_KEY_BYTES]) {
    tyf_key secret;
    mix_hash(state, public_key, TYF_PUBLIC_KEY_BYTES);
    tyf_status status = tyf_port_key_import(TYF_KEY_DERIVE, public_key, TYF_PUBLIC_KEY_BYTES, &secret);
    if (status == TYF_OK) {
        status = mix_key(state, secret, false);
    }
    tyf_port_key_destroy(&secret);
    return status;
}

/* -> psk, e, and an empty payload, whose MAC says that the host holds the key. */
static tyf_status read_request(handshake *state, const tyf_session *session, const uint8_t *request) {
    const uint8_t *mac = request + TYF_PUBLIC_KEY_BYTES;
    uint8_t nothing[1];
    tyf_status status = mix_key(state, session->psk, true);
    if (status == TYF_OK) {
        status = mix_public(state, request);
    }
    if (status == TYF_OK) {
        const tyf_crypto_piece context = {state->h, sizeof state->h};
        status = tyf_port_aead_open(state->k, 0, context, nothing, 0, mac);
        mix_hash(state, mac, TYF_MAC_BYTES);
    }
    return status;
}

/* <- e, ee, and an empty payload. */
static tyf_status write_answer(handshake *state, const uint8_t *theirs, uint8_t *answer) {
    uint8_t *mac = answer + TYF_PUBLIC_KEY_BYTES;
    uint8_t nothing[1];
    tyf_key mine, shared = 0;
    tyf_status status = tyf_port_key_generate(&mine, answer);
    if (status == TYF_OK) {
        status = mix_public(state, answer);
    }
    if (status == TYF_OK) {
        status = tyf_port_key_agree(mine, theirs, &shared);
    }
    tyf_port_key_destroy(&mine);
    if (status == TYF_OK) {
        status = mix_key(state, shared, false);
    }
    tyf_port_key_destroy(&shared);
    if (status == TYF_OK) {
        const tyf_crypto_piece context = {state->h, sizeof state->h};
        status = tyf_port_aead_seal(state->k, 0, context, nothing, 0, mac);
    }
    return status;
}

tyf_status tyf_session_accept(tyf_session *session, const uint8_t request[TYF_SESSION_HELLO_BYTES],
                              uint8_t answer[TYF_SESSION_HELLO_BYTES]) {
    static const tyf_key_use split[] = {TYF_KEY_AEAD, TYF_KEY_AEAD};
    if (session->psk == 0) {
        return TYF_ERR_STATE;
    }
    handshake state = {0};
    memcpy(state.h, protocol, sizeof state.h);
    tyf_status status = tyf_port_key_import(TYF_KEY_DERIVE, protocol, sizeof protocol, &state.ck);
    tyf_port_hash((const tyf_crypto_piece[]){{state.h, sizeof state.h},
                                             {prologue, sizeof prologue - 1u},
                                             {session->device_id, sizeof session->device_id}},
                  3, state.h);
    if (status == TYF_OK) {
        status = read_request(&state, session, request);
    }
    if (status == TYF_OK) {
        destroy_keys(&session->offered);
        status = write_answer(&state, request, answer);
    }
    if (status == TYF_OK) {
        tyf_key keys[2];
        status = tyf_port_key_derive(state.ck, 0, split, keys, 2);
        session->offered.receive = keys[0];
        session->offered.send = keys[1];
    }
    tyf_port_key_destroy(&state.ck);
    tyf_port_key_destroy(&state.k);
    /* A host whose key has low order holds no key of ours either. */
    return status == TYF_ERR_ARG ? TYF_ERR_SIGNATURE : status;
}

static bool opens(tyf_session_keys *keys, uint32_t counter, uint8_t *record, uint32_t data_bytes) {
    const tyf_crypto_piece no_context = {NULL, 0};
    if (keys->receive == 0 || counter < keys->next_receive || counter == UINT32_MAX ||
        tyf_port_aead_open(keys->receive, counter, no_context, record, data_bytes, record + data_bytes) != TYF_OK) {
        return false;
    }
    keys->next_receive = counter + 1u;
    return true;
}

tyf_status tyf_session_open(tyf_session *session, uint32_t counter, uint8_t *record, uint32_t bytes) {
    if (bytes < TYF_MAC_BYTES) {
        return TYF_ERR_SIGNATURE;
    }
    if (opens(&session->current, counter, record, bytes - TYF_MAC_BYTES)) {
        return TYF_OK;
    }
    if (opens(&session->offered, counter, record, bytes - TYF_MAC_BYTES)) {
        destroy_keys(&session->current);
        session->current = session->offered;
        session->offered = (tyf_session_keys){0};
        return TYF_OK;
    }
    return session->current.receive == 0 && session->offered.receive == 0 ? TYF_ERR_STATE : TYF_ERR_SIGNATURE;
}

tyf_status tyf_session_seal(tyf_session *session, uint8_t *data, uint32_t bytes, uint32_t *counter,
                            uint8_t mac[TYF_MAC_BYTES]) {
    const tyf_crypto_piece no_context = {NULL, 0};
    tyf_session_keys *keys = &session->current;
    if (keys->send == 0 || keys->next_send == UINT32_MAX) {
        return TYF_ERR_STATE;
    }
    *counter = keys->next_send++;
    return tyf_port_aead_seal(keys->send, *counter, no_context, data, bytes, mac);
}
