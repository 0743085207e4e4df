#include "tyf/smp/raw.h"

#include <stddef.h>
#include <string.h>

#include "tyf/core/bytes.h"

#define LENGTH_AT 2u

void tyf_smp_raw_init(tyf_smp_raw *server, const tyf_smp_registry *registry, tyf_smp_trust trust) {
    memset(server, 0, sizeof *server);
    server->registry = registry;
    server->trust = trust;
}

/* Bytes of the message that begins there; 0: it is not all there. */
static uint32_t whole_message(const tyf_smp_raw *server, uint32_t at) {
    const uint32_t left = server->waiting_bytes - at;
    if (left < TYF_SMP_HEADER_BYTES) {
        return 0;
    }
    const uint32_t bytes = TYF_SMP_HEADER_BYTES + tyf_get_u16_be(server->waiting + at + LENGTH_AT);
    return bytes <= left ? bytes : 0;
}

void tyf_smp_raw_receive(tyf_smp_raw *server, const uint8_t *data, uint32_t bytes) {
    if (server->is_lost) {
        return;
    }
    if (bytes > sizeof server->waiting - server->waiting_bytes) {
        server->is_lost = true;
        server->bad_messages++;
        return;
    }
    memcpy(server->waiting + server->waiting_bytes, data, bytes);
    server->waiting_bytes += bytes;
}

void tyf_smp_raw_pause(tyf_smp_raw *server) {
    uint32_t whole = 0, bytes;
    while ((bytes = whole_message(server, whole)) != 0) {
        whole += bytes;
    }
    server->bad_messages += whole != server->waiting_bytes;
    server->waiting_bytes = whole;
    server->is_lost = false;
}

bool tyf_smp_raw_answer(tyf_smp_raw *server) {
    const uint32_t bytes = whole_message(server, 0);
    if (server->is_answering || bytes == 0) {
        return false;
    }
    server->reply_bytes = tyf_smp_answer(server->registry, server->trust, server->waiting, bytes, server->reply,
                                         sizeof server->reply, &server->after);
    server->sent_bytes = 0;
    server->is_answering = server->reply_bytes != 0;
    server->bad_messages += server->reply_bytes == 0;
    server->waiting_bytes -= bytes;
    memmove(server->waiting, server->waiting + bytes, server->waiting_bytes);
    return true;
}

void tyf_smp_raw_finish(tyf_smp_raw *server) {
    const tyf_smp_after after = server->after;
    server->is_answering = false;
    server->after = NULL;
    server->reply_bytes = 0;
    server->sent_bytes = 0;
    if (after != NULL) {
        after();
    }
}

void tyf_smp_raw_reset(tyf_smp_raw *server) {
    tyf_smp_raw_finish(server);
    server->waiting_bytes = 0;
    server->is_lost = false;
}
