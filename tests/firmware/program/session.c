#include "session.h"

#include <stdlib.h>
#include <string.h>

#include "tyf/core/bytes.h"
#include "tyf/crypto/software.h"
#include "tyf/session/session.h"

static tyf_session session;

/* A record in memory of exactly its size, for the sanitizer to watch its ends. */
static uint32_t open_record(uint32_t counter, const uint8_t *record, uint32_t bytes, uint8_t *reply) {
    uint8_t *exact = malloc(bytes + 1u);
    memcpy(exact, record, bytes);
    const tyf_status status = tyf_session_open(&session, counter, exact, bytes);
    reply[0] = (uint8_t)status;
    memcpy(reply + 1, exact, bytes);
    free(exact);
    return 1u + bytes;
}

uint32_t session_step(const uint8_t *data, uint32_t bytes, uint8_t *reply) {
    const uint8_t *rest = data + 1;
    const uint32_t rest_bytes = bytes - 1u;
    uint32_t counter = 0;
    switch (data[0]) {
    case 'e': /* entropy of a boot, or nothing */
        tyf_crypto_start(rest_bytes > 0 ? rest : NULL);
        return 0;
    case 'i': /* device_id */
        tyf_session_init(&session, rest);
        return 0;
    case 'p': /* psk -> status */
        reply[0] = (uint8_t)tyf_session_provision(&session, rest);
        return 1;
    case 'a': /* request -> status, answer */
        reply[0] = (uint8_t)tyf_session_accept(&session, rest, reply + 1);
        return 1u + TYF_SESSION_HELLO_BYTES;
    case 'o': /* u32 counter, record -> status, the memory of the record afterwards */
        return open_record(tyf_get_u32_le(rest), rest + 4, rest_bytes - 4u, reply);
    case 's': /* data -> status, u32 counter, sealed data, MAC */
        memcpy(reply + 5, rest, rest_bytes);
        reply[0] = (uint8_t)tyf_session_seal(&session, reply + 5, rest_bytes, &counter, reply + 5 + rest_bytes);
        tyf_put_u32_le(reply + 1, counter);
        return 5u + rest_bytes + TYF_MAC_BYTES;
    case 'c': /* end it */
        tyf_session_close(&session);
        return 0;
    case 'r': /* u32 bytes -> status, random bytes */
        reply[0] = (uint8_t)tyf_port_random(reply + 1, tyf_get_u32_le(rest));
        return 1u + tyf_get_u32_le(rest);
    default:
        abort();
    }
}
