/* L2CAP: fragments become messages and messages fragments; the signalling channel, and pairing, which is refused. */
#include <stddef.h>
#include <string.h>

#include "stack.h"
#include "tyf/core/bytes.h"

#define CHANNEL_ATT 4u
#define CHANNEL_SIGNALLING 5u
#define CHANNEL_PAIRING 6u

#define SIGNAL_REJECT 0x01u
#define SIGNAL_PARAMETERS_ANSWER 0x13u
#define SIGNAL_CONNECT 0x14u
#define SIGNAL_CONNECT_ANSWER 0x15u
#define SIGNAL_HEADER_BYTES 4u /* code, identifier, length */
#define SIGNAL_MOST_BYTES 14u
#define REASON_NOT_UNDERSTOOD 0u
#define RESULT_NO_PSM 2u

#define PAIRING_REQUEST 0x01u
#define PAIRING_FAILED 0x05u
#define PAIRING_NOT_SUPPORTED 0x05u
#define PAIRING_UNKNOWN_COMMAND 0x07u
#define PAIRING_MOST_BYTES 2u

static struct {
    uint8_t received[PDU_BYTES];
    uint16_t received_bytes;
    bool is_dropping;    /* the rest of a message that was too large, or whose beginning is missing */
    uint8_t in_progress; /* slot of which a part is out already, or SLOTS */
    uint16_t taken;      /* bytes of it */
    uint16_t waiting[SLOTS];
} l2cap;

static uint8_t signal_memory[L2CAP_HEADER_BYTES + SIGNAL_MOST_BYTES];
static uint8_t pairing_memory[L2CAP_HEADER_BYTES + PAIRING_MOST_BYTES];
static uint8_t att_memory[PDU_BYTES], notify_memory[PDU_BYTES];
static uint8_t *const memory[SLOTS] = {signal_memory, pairing_memory, att_memory, notify_memory};
static const uint8_t channels[SLOTS] = {CHANNEL_SIGNALLING, CHANNEL_PAIRING, CHANNEL_ATT, CHANNEL_ATT};

void tyf_ble_l2cap_reset(void) {
    l2cap.received_bytes = 0;
    l2cap.is_dropping = true;
    l2cap.in_progress = SLOTS;
    memset(l2cap.waiting, 0, sizeof l2cap.waiting);
    tyf_ble_att_reset();
}

uint8_t *tyf_ble_l2cap_room(tyf_ble_slot slot) {
    return l2cap.waiting[slot] == 0 ? memory[slot] + L2CAP_HEADER_BYTES : NULL;
}

void tyf_ble_l2cap_send(tyf_ble_slot slot, uint32_t bytes) {
    tyf_put_u16_le(memory[slot], (uint16_t)bytes);
    tyf_put_u16_le(memory[slot] + 2, channels[slot]);
    l2cap.waiting[slot] = (uint16_t)(L2CAP_HEADER_BYTES + bytes);
}

bool tyf_ble_l2cap_next(uint32_t most, tyf_ble_fragment *fragment) {
    for (uint8_t slot = 0; l2cap.in_progress == SLOTS && slot < SLOTS; slot++) {
        if (l2cap.waiting[slot] != 0) {
            l2cap.in_progress = slot;
            l2cap.taken = 0;
        }
    }
    if (l2cap.in_progress == SLOTS) {
        return false;
    }
    const uint32_t left = (uint32_t)l2cap.waiting[l2cap.in_progress] - l2cap.taken;
    fragment->data = memory[l2cap.in_progress] + l2cap.taken;
    fragment->bytes = (uint16_t)(left < most ? left : most);
    fragment->is_first = l2cap.taken == 0;
    l2cap.taken = (uint16_t)(l2cap.taken + fragment->bytes);
    return true;
}

void tyf_ble_l2cap_sent(void) {
    if (l2cap.in_progress != SLOTS && l2cap.taken == l2cap.waiting[l2cap.in_progress]) {
        l2cap.waiting[l2cap.in_progress] = 0;
        l2cap.in_progress = SLOTS;
    }
}

bool tyf_ble_l2cap_is_empty(void) {
    for (uint32_t slot = 0; slot < SLOTS; slot++) {
        if (l2cap.waiting[slot] != 0) {
            return false;
        }
    }
    return true;
}

/* Answer what asks; what answers is not for us, who ask nothing. */
static void take_signal(const uint8_t *signal, uint32_t bytes) {
    uint8_t *answer = tyf_ble_l2cap_room(SLOT_SIGNALLING);
    if (answer == NULL || bytes < SIGNAL_HEADER_BYTES || signal[0] == SIGNAL_REJECT ||
        signal[0] == SIGNAL_PARAMETERS_ANSWER) {
        return;
    }
    memset(answer, 0, SIGNAL_MOST_BYTES);
    uint32_t body_bytes = 2;
    answer[1] = signal[1];
    if (signal[0] == SIGNAL_CONNECT) {
        answer[0] = SIGNAL_CONNECT_ANSWER;
        body_bytes = SIGNAL_MOST_BYTES - SIGNAL_HEADER_BYTES;
        tyf_put_u16_le(answer + SIGNAL_MOST_BYTES - 2u, RESULT_NO_PSM);
    } else {
        answer[0] = SIGNAL_REJECT;
        tyf_put_u16_le(answer + SIGNAL_HEADER_BYTES, REASON_NOT_UNDERSTOOD);
    }
    tyf_put_u16_le(answer + 2, (uint16_t)body_bytes);
    tyf_ble_l2cap_send(SLOT_SIGNALLING, SIGNAL_HEADER_BYTES + body_bytes);
}

static void take_pairing(const uint8_t *request) {
    uint8_t *answer = tyf_ble_l2cap_room(SLOT_PAIRING);
    if (answer == NULL || request[0] == PAIRING_FAILED) {
        return;
    }
    answer[0] = PAIRING_FAILED;
    answer[1] = request[0] == PAIRING_REQUEST ? PAIRING_NOT_SUPPORTED : PAIRING_UNKNOWN_COMMAND;
    tyf_ble_l2cap_send(SLOT_PAIRING, PAIRING_MOST_BYTES);
}

static void deliver(uint32_t channel, const uint8_t *message, uint32_t bytes) {
    if (bytes == 0) {
        return;
    }
    if (channel == CHANNEL_ATT) {
        tyf_ble_att_receive(message, bytes);
    } else if (channel == CHANNEL_SIGNALLING) {
        take_signal(message, bytes);
    } else if (channel == CHANNEL_PAIRING) {
        take_pairing(message);
    }
}

void tyf_ble_l2cap_begin(bool is_first) {
    if (is_first) {
        l2cap.received_bytes = 0;
        l2cap.is_dropping = false;
    }
}

void tyf_ble_l2cap_take(const uint8_t *data, uint32_t bytes) {
    if (bytes > sizeof l2cap.received - l2cap.received_bytes) {
        l2cap.is_dropping = true;
    }
    if (!l2cap.is_dropping) {
        memcpy(l2cap.received + l2cap.received_bytes, data, bytes);
        l2cap.received_bytes = (uint16_t)(l2cap.received_bytes + bytes);
    }
}

void tyf_ble_l2cap_end(void) {
    if (l2cap.is_dropping || l2cap.received_bytes < L2CAP_HEADER_BYTES) {
        return;
    }
    const uint32_t bytes = tyf_get_u16_le(l2cap.received);
    const uint32_t has = l2cap.received_bytes - L2CAP_HEADER_BYTES;
    if (has < bytes) {
        return;
    }
    l2cap.is_dropping = true; /* until the next one begins */
    if (has == bytes) {
        deliver(tyf_get_u16_le(l2cap.received + 2), l2cap.received + L2CAP_HEADER_BYTES, bytes);
    }
}
