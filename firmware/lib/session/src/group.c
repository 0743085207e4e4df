#include "tyf/session/group.h"

#include <stddef.h>
#include <string.h>

#include "tyf/core/bytes.h"
#include "tyf/crypto/software.h"
#include "tyf/session/session.h"
#include "tyf/settings/settings.h"

/* The setting: the key, then whether every link asks for sessions. A host cannot name it: it begins with a dot. */
#define SETTING ".session"
#define SETTING_BYTES (TYF_SESSION_PSK_BYTES + 1u)
#define LOCK_AT TYF_SESSION_PSK_BYTES

/* Room that a reply keeps for what comes after the sealed message: the key and value of its counter. */
#define COUNTER_FIELD_BYTES 8u

static struct {
    const tyf_smp_registry *registry;
    tyf_session sessions[TYF_SESSION_LINKS];
    tyf_session_link link; /* of the message that is being answered */
    bool is_locked;
} state;

/* Key and lock as the settings have them; every session ends. */
static void take_setting(void) {
    uint8_t kept[SETTING_BYTES];
    uint32_t bytes = 0;
    if (tyf_settings_get(SETTING, kept, sizeof kept, &bytes) == TYF_OK && bytes == sizeof kept) {
        for (uint32_t i = 0; i < TYF_SESSION_LINKS; i++) {
            (void)tyf_session_provision(&state.sessions[i], kept); /* the key store has room for each and its key */
        }
        state.is_locked = kept[LOCK_AT] != 0;
    }
    tyf_wipe(kept, sizeof kept);
}

void tyf_session_start(const tyf_smp_registry *registry, const tyf_identity *identity) {
    state.registry = registry;
    state.is_locked = false;
    tyf_crypto_start(identity->boot_id != 0 ? identity->entropy : NULL);
    for (uint32_t i = 0; i < TYF_SESSION_LINKS; i++) {
        tyf_session_init(&state.sessions[i], identity->device_id);
    }
    take_setting();
}

bool tyf_session_is_open(tyf_session_link link) {
    return state.sessions[link].current.receive != 0;
}

void tyf_session_end(tyf_session_link link) {
    tyf_session_close(&state.sessions[link]);
}

int tyf_session_policy(const tyf_smp_command *command, uint16_t group, tyf_smp_trust trust) {
    (void)group;
    if (trust == TYF_SMP_TRUST_SESSION || command->access == TYF_SMP_ACCESS_OPEN) {
        return TYF_SMP_OK;
    }
    const bool is_in_air = trust == TYF_SMP_TRUST_RADIO && !TYF_CFG_RADIO_OPEN;
    const bool is_denied = is_in_air || (state.is_locked && command->access == TYF_SMP_ACCESS_SESSION);
    return is_denied ? TYF_SMP_EACCESSDENIED : TYF_SMP_OK;
}

static int provision(tyf_smp_exchange *exchange) {
    const tyf_session_provision_request *request = exchange->request;
    uint8_t kept[SETTING_BYTES];
    memcpy(kept, request->psk.data, TYF_SESSION_PSK_BYTES);
    kept[LOCK_AT] = request->lock || state.is_locked; /* a lock stays */
    const tyf_status status = tyf_settings_set(SETTING, kept, sizeof kept);
    tyf_wipe(kept, sizeof kept);
    return status;
}

/* A message in a session came by the link of its record. */
static void note_link(const tyf_smp_exchange *exchange) {
    if (exchange->trust != TYF_SMP_TRUST_SESSION) {
        state.link = exchange->trust == TYF_SMP_TRUST_RADIO ? TYF_SESSION_RADIO : TYF_SESSION_WIRE;
    }
}

static int open_session(tyf_smp_exchange *exchange) {
    const tyf_session_open_request *request = exchange->request;
    uint8_t answer[TYF_SESSION_HELLO_BYTES];
    note_link(exchange);
    const tyf_status status = tyf_session_accept(&state.sessions[state.link], request->m.data, answer);
    if (status == TYF_OK) {
        tyf_cbor_add_bytes(&exchange->reply, "m", answer, sizeof answer);
    }
    return status;
}

/* The message is opened where it arrived, and its reply is made and sealed where it leaves. */
static int take_record(tyf_smp_exchange *exchange) {
    const tyf_session_record_request *request = exchange->request;
    if (exchange->trust == TYF_SMP_TRUST_SESSION) {
        return TYF_SMP_EINVAL; /* a record in a record */
    }
    note_link(exchange);
    tyf_session *session = &state.sessions[state.link];
    /* The server's own buffer; nothing reads the request afterwards. */
    uint8_t *message = (uint8_t *)(uintptr_t)request->d.data;
    const tyf_status opened = tyf_session_open(session, request->n, message, request->d.bytes);
    if (opened != TYF_OK) {
        return opened;
    }
    const uint32_t room = tyf_cbor_room_for_bytes(&exchange->reply, "d", COUNTER_FIELD_BYTES);
    uint8_t *reply = tyf_cbor_open_bytes(&exchange->reply, "d", room);
    if (reply == NULL) {
        return TYF_ERR_TOO_LARGE;
    }
    const uint32_t bytes =
        tyf_smp_answer(state.registry, TYF_SMP_TRUST_SESSION, message, request->d.bytes - TYF_MAC_BYTES, reply,
                       room - TYF_MAC_BYTES, &exchange->after);
    if (bytes == 0) {
        return TYF_SMP_EINVAL;
    }
    uint32_t counter = 0;
    const tyf_status sealed = tyf_session_seal(session, reply, bytes, &counter, reply + bytes);
    tyf_cbor_close_bytes(&exchange->reply, bytes + TYF_MAC_BYTES);
    tyf_cbor_add_uint(&exchange->reply, "n", counter);
    return sealed;
}

static void close_wire(void) {
    tyf_session_end(TYF_SESSION_WIRE);
}

#if TYF_CFG_BLE
static void close_radio(void) {
    tyf_session_end(TYF_SESSION_RADIO);
}
#else
#define close_radio close_wire
#endif

/* The reply still goes out sealed; the session ends after it. */
static int close_session(tyf_smp_exchange *exchange) {
    note_link(exchange);
    exchange->after = state.link == TYF_SESSION_WIRE ? close_wire : close_radio;
    return TYF_SMP_OK;
}

static int status(tyf_smp_exchange *exchange) {
    tyf_cbor_add_bool(&exchange->reply, "provisioned", tyf_session_is_provisioned(&state.sessions[TYF_SESSION_WIRE]));
    tyf_cbor_add_bool(&exchange->reply, "locked", state.is_locked);
    tyf_cbor_add_bool(&exchange->reply, "session", exchange->trust == TYF_SMP_TRUST_SESSION);
    return TYF_SMP_OK;
}

const tyf_smp_command tyf_session_commands[TYF_SESSION_COMMAND_COUNT] = {
    {TYF_MESSAGE_SESSION_OPEN, .handler = open_session},
    {TYF_MESSAGE_SESSION_RECORD, .handler = take_record},
    {TYF_MESSAGE_SESSION_CLOSE, .handler = close_session},
    {TYF_MESSAGE_SESSION_STATUS, .handler = status},
    {TYF_MESSAGE_SESSION_PROVISION, .handler = provision, .after = take_setting},
};
