/* HCI: brings the controller up and back up, advertises, keeps the one link, and moves packets of type H4. */
#include <stddef.h>
#include <string.h>

#include "stack.h"
#include "tyf/core/bytes.h"
#include "tyf/core/sha256.h"
#include "tyf/port/hci.h"
#include "tyf/port/time.h"

#define H4_COMMAND 1u
#define H4_ACL 2u
#define H4_EVENT 4u

#define EVENT_DISCONNECTED 0x05u
#define EVENT_COMMAND_COMPLETE 0x0eu
#define EVENT_COMMAND_STATUS 0x0fu
#define EVENT_HARDWARE_ERROR 0x10u
#define EVENT_PACKETS_COMPLETED 0x13u
#define EVENT_LE 0x3eu
#define LE_CONNECTED 0x01u
#define LE_KEY_REQUEST 0x05u
#define LE_PARAMETERS_REQUEST 0x06u
#define LE_CONNECTED_ENHANCED 0x0au

#define DISCONNECT 0x0406u
#define SET_EVENT_MASK 0x0c01u
#define RESET 0x0c03u
#define READ_BUFFER_SIZE 0x1005u
#define LE_SET_EVENT_MASK 0x2001u
#define LE_READ_BUFFER_SIZE 0x2002u
#define LE_SET_RANDOM_ADDRESS 0x2005u
#define LE_SET_ADVERTISING_PARAMETERS 0x2006u
#define LE_SET_ADVERTISING_DATA 0x2008u
#define LE_SET_ADVERTISING 0x200au
#define LE_REFUSE_KEY 0x201bu
#define LE_ACCEPT_PARAMETERS 0x2020u
#define LE_READ_DATA_LENGTH 0x2023u
#define LE_WRITE_DATA_LENGTH 0x2024u

#define HANDLE_MASK 0x0fffu
#define CONTINUES 1u /* the packet boundary flag, both ways; what begins is 2 from the controller and 0 to it */
#define ROLE_PERIPHERAL 1u
#define REASON_USER 0x13u

#define ADVERTISING_BYTES 31u
#define FLAGS_GENERAL_LE_ONLY 0x06u
#define INTERVAL_LEAST 0x00a0u /* 100 ms */
#define INTERVAL_MOST 0x00f0u  /* 150 ms */
#define OWN_ADDRESS_RANDOM 1u
#define ALL_CHANNELS 7u

#define MOST_OCTETS 251u
/* 2120 us is what 251 bytes take; the excess means nothing to a controller, and is how it is known again. */
#define MOST_TIME_US 2121u

/* All by the clock for patience: of a span between two polls at most that much counts. */
#define SPAN_US 1000000u
#define COMMAND_US 4000000u    /* a controller that does not answer for so long is gone */
#define KEEP_ALIVE_US 2000000u /* of silence */
#define UNTRUSTED_US ((uint32_t)TYF_BLE_UNTRUSTED_S * 1000000u)
#define UNTRUSTED_AGAIN_US ((uint32_t)TYF_BLE_UNTRUSTED_AGAIN_S * 1000000u)
#define EAGER_RESETS 4u /* at first one a second, later one in four */

#define PARAMETER_BYTES 32u
#define EVENT_BYTES 64u
#define CONNECTION_PARAMETERS_BYTES 8u

/* Bringing up: a command a step, in this order. */
static const uint16_t steps[] = {
    RESET,
    SET_EVENT_MASK,
    LE_SET_EVENT_MASK,
    LE_READ_BUFFER_SIZE,
    READ_BUFFER_SIZE, /* only when the one before told none */
    LE_WRITE_DATA_LENGTH,
    LE_READ_DATA_LENGTH,
    LE_SET_RANDOM_ADDRESS,
    LE_SET_ADVERTISING_PARAMETERS,
    LE_SET_ADVERTISING_DATA,
};
#define STEPS (sizeof steps / sizeof steps[0])

/* What is to be asked of a controller that is up. */
enum { ADVERTISE = 1, DROP = 2, REFUSE_KEY = 4, ACCEPT_PARAMETERS = 8, KEEP_ALIVE = 16 };

static struct {
    uint64_t polled_us;
    uint32_t now_us;

    /* bytes from the controller */
    uint8_t in_head[5];
    uint8_t in_head_bytes;
    uint8_t event_bytes;
    uint16_t in_left;
    uint8_t event[EVENT_BYTES];

    /* a packet on its way to the controller */
    uint8_t out_head[4u + PARAMETER_BYTES];
    uint8_t out_head_bytes;
    uint16_t out_body_bytes, out_done;
    const uint8_t *out_body;

    uint8_t step; /* STEPS: it is up */
    uint8_t resets;
    uint8_t wanted;
    bool may_command;
    uint16_t command; /* that was sent and not answered; 0: none */
    uint32_t command_us, heard_us;
    uint8_t mark[4]; /* what the controller keeps of us */
    uint8_t parameters[CONNECTION_PARAMETERS_BYTES];

    uint16_t packet_bytes, packets; /* the controller's buffers */
    uint16_t credits;               /* of them free */

    bool is_linked;
    bool stays_stranger; /* this link, for longer than one that means well needs */
    bool is_wary;        /* the link before did */
    uint16_t handle;
    uint32_t trusted_us;
} hci;

const tyf_ble_application *tyf_ble_the_application;

static void set_link(bool is_up) {
    const bool is_news = hci.is_linked != is_up;
    hci.is_wary = hci.is_linked ? hci.stays_stranger : hci.is_wary;
    hci.stays_stranger = false;
    hci.is_linked = is_up;
    hci.credits = hci.packets;
    hci.wanted &= (uint8_t)~(DROP | REFUSE_KEY | ACCEPT_PARAMETERS);
    hci.trusted_us = hci.now_us;
    tyf_ble_l2cap_reset();
    if (is_news) {
        tyf_ble_the_application->linked(is_up);
    }
}

/* From the beginning, at once or when the last command counts as unanswered. What is half sent is sent to its end. */
static void restart(bool is_at_once) {
    set_link(false);
    hci.in_head_bytes = 0;
    hci.in_left = 0;
    hci.step = 0;
    hci.wanted = 0;
    hci.may_command = true;
    hci.command = is_at_once ? 0u : (uint16_t)RESET;
    hci.command_us = hci.now_us;
    hci.packet_bytes = 0;
    hci.packets = 0;
}

void tyf_ble_start(const tyf_ble_application *application) {
    memset(&hci, 0, sizeof hci);
    tyf_ble_the_application = application;
    hci.polled_us = tyf_port_uptime_us();
    tyf_ble_gatt_start();
    restart(true);
}

/* Commands. */

static void send_command(uint16_t opcode, const uint8_t *parameters, uint8_t bytes) {
    hci.out_head[0] = H4_COMMAND;
    tyf_put_u16_le(hci.out_head + 1, opcode);
    hci.out_head[3] = bytes;
    memcpy(hci.out_head + 4, parameters, bytes);
    hci.out_head_bytes = (uint8_t)(4u + bytes);
    hci.out_body_bytes = 0;
    hci.out_done = 0;
    hci.command = opcode;
    hci.command_us = hci.now_us;
}

/* Random and static: the two highest bits are set, and the others are never all equal but by a chance of 2^-45. */
static void put_address(uint8_t address[ADDRESS_BYTES]) {
    uint8_t digest[TYF_SHA256_BYTES];
    tyf_sha256 hash;
    tyf_sha256_init(&hash);
    tyf_sha256_update(&hash, tyf_ble_the_application->device_id, TYF_DEVICE_ID_BYTES);
    tyf_sha256_final(&hash, digest);
    memcpy(address, digest, ADDRESS_BYTES);
    address[ADDRESS_BYTES - 1u] |= 0xc0u;
}

/* Length, then flags, the service that managers look for, and the name: all 31 bytes. */
static void put_advertisement(uint8_t *data) {
    static const uint8_t head[] = {ADVERTISING_BYTES, 2, 0x01, FLAGS_GENERAL_LE_ONLY, 17, 0x07};
    memcpy(data, head, sizeof head);
    memcpy(data + sizeof head, tyf_ble_management_uuid, 16);
    data[sizeof head + 16u] = 1u + NAME_BYTES;
    data[sizeof head + 17u] = 0x09;
    memcpy(data + sizeof head + 18u, tyf_ble_name, NAME_BYTES);
}

static void send_step(void) {
    static const uint8_t event_mask[8] = {0x10, 0x80, 0, 0, 0, 0, 0, 0x20}; /* disconnected, hardware error, LE */
    uint8_t p[PARAMETER_BYTES] = {0};
    uint8_t bytes = 0;
    switch (steps[hci.step]) {
    case SET_EVENT_MASK:
        memcpy(p, event_mask, bytes = sizeof event_mask);
        break;
    case LE_SET_EVENT_MASK:
        p[0] = 1u << (LE_CONNECTED - 1u) | 1u << (LE_KEY_REQUEST - 1u) | 1u << (LE_PARAMETERS_REQUEST - 1u);
        bytes = 8;
        break;
    case LE_WRITE_DATA_LENGTH:
        tyf_put_u16_le(p, MOST_OCTETS);
        tyf_put_u16_le(p + 2, MOST_TIME_US);
        bytes = 4;
        break;
    case LE_SET_RANDOM_ADDRESS:
        put_address(p);
        bytes = ADDRESS_BYTES;
        break;
    case LE_SET_ADVERTISING_PARAMETERS:
        tyf_put_u16_le(p, INTERVAL_LEAST);
        tyf_put_u16_le(p + 2, INTERVAL_MOST);
        p[5] = OWN_ADDRESS_RANDOM;
        p[13] = ALL_CHANNELS;
        bytes = 15;
        break;
    case LE_SET_ADVERTISING_DATA:
        put_advertisement(p);
        bytes = 1u + ADVERTISING_BYTES;
        break;
    default:
        break;
    }
    send_command(steps[hci.step], p, bytes);
}

static bool take_wish(uint8_t wish) {
    const bool is_wanted = (hci.wanted & wish) != 0;
    hci.wanted &= (uint8_t)~wish;
    return is_wanted;
}

/* The next command, if there is one and it is its time. */
static bool command_next(void) {
    if (hci.command != 0 || !hci.may_command) {
        return false;
    }
    if (hci.step < STEPS) {
        send_step();
        return true;
    }
    uint8_t p[2u + CONNECTION_PARAMETERS_BYTES + 4u] = {0};
    tyf_put_u16_le(p, hci.handle);
    if (take_wish(REFUSE_KEY)) {
        send_command(LE_REFUSE_KEY, p, 2);
    } else if (take_wish(ACCEPT_PARAMETERS)) {
        memcpy(p + 2, hci.parameters, sizeof hci.parameters);
        send_command(LE_ACCEPT_PARAMETERS, p, sizeof p); /* connection events as long as the controller likes */
    } else if (take_wish(DROP)) {
        p[2] = REASON_USER;
        send_command(DISCONNECT, p, 3);
    } else if (take_wish(ADVERTISE)) {
        p[0] = 1;
        send_command(LE_SET_ADVERTISING, p, 1);
    } else if (take_wish(KEEP_ALIVE)) {
        send_command(LE_READ_DATA_LENGTH, p, 0);
    } else {
        return false;
    }
    return true;
}

/* A step's answer; false: the controller cannot be used so. */
static bool end_step(uint16_t opcode, uint8_t status, const uint8_t *values, uint32_t bytes) {
    switch (opcode) {
    case RESET:
    case LE_SET_RANDOM_ADDRESS:
    case LE_SET_ADVERTISING_PARAMETERS:
    case LE_SET_ADVERTISING_DATA:
        return status == 0;
    case LE_READ_BUFFER_SIZE:
        if (status == 0 && bytes >= 3u) {
            hci.packet_bytes = tyf_get_u16_le(values);
            hci.packets = values[2];
        }
        if (hci.packet_bytes != 0 && hci.packets != 0) {
            hci.step++; /* buffers of their own for LE */
        }
        return true;
    case READ_BUFFER_SIZE:
        if (status == 0 && bytes >= 5u) {
            hci.packet_bytes = tyf_get_u16_le(values);
            hci.packets = tyf_get_u16_le(values + 3);
        }
        return hci.packet_bytes != 0 && hci.packets != 0;
    case LE_READ_DATA_LENGTH:
        memset(hci.mark, 0, sizeof hci.mark);
        if (status == 0 && bytes >= sizeof hci.mark) {
            memcpy(hci.mark, values, sizeof hci.mark);
        }
        return true;
    default:
        return true; /* without masks and long packets it works as well */
    }
}

static void end_command(uint16_t opcode, uint8_t status, const uint8_t *values, uint32_t bytes) {
    if (opcode != hci.command || opcode == 0) {
        return;
    }
    hci.command = 0;
    if (hci.step < STEPS) {
        if (!end_step(opcode, status, values, bytes)) {
            restart(false);
            return;
        }
        hci.resets = 0;
        hci.step++;
        if (hci.step == STEPS) {
            hci.credits = hci.packets;
            hci.wanted = ADVERTISE;
        }
    } else if (opcode == LE_READ_DATA_LENGTH && status == 0 && bytes >= sizeof hci.mark &&
               memcmp(hci.mark, values, sizeof hci.mark) != 0) {
        restart(true); /* this one has forgotten us, or is another one */
    } else if (opcode == LE_SET_ADVERTISING && status != 0 && !hci.is_linked) {
        restart(false);
    }
}

/* Events. */

static void take_le_event(const uint8_t *event, uint32_t bytes) {
    const bool is_ours = bytes >= 3u && hci.is_linked && (tyf_get_u16_le(event + 1) & HANDLE_MASK) == hci.handle;
    switch (event[0]) {
    case LE_CONNECTED:
    case LE_CONNECTED_ENHANCED:
        if (bytes < 5u || hci.step < STEPS) {
            break;
        }
        if (event[1] != 0 || event[4] != ROLE_PERIPHERAL) {
            hci.wanted |= ADVERTISE;
            break;
        }
        set_link(false);
        hci.handle = tyf_get_u16_le(event + 2) & HANDLE_MASK;
        set_link(true);
        break;
    case LE_KEY_REQUEST:
        hci.wanted |= is_ours ? REFUSE_KEY : 0u;
        break;
    case LE_PARAMETERS_REQUEST:
        if (is_ours && bytes >= 3u + CONNECTION_PARAMETERS_BYTES) {
            memcpy(hci.parameters, event + 3, sizeof hci.parameters);
            hci.wanted |= ACCEPT_PARAMETERS;
        }
        break;
    default:
        break;
    }
}

static void take_credits(const uint8_t *event, uint32_t bytes) {
    for (uint32_t i = 0; bytes > 0 && i < event[0] && 5u + 4u * i <= bytes; i++) {
        const uint8_t *entry = event + 1u + 4u * i;
        const uint32_t busy = (uint32_t)hci.packets - hci.credits;
        if (hci.is_linked && (tyf_get_u16_le(entry) & HANDLE_MASK) == hci.handle) {
            const uint32_t count = tyf_get_u16_le(entry + 2);
            hci.credits = (uint16_t)(hci.credits + (count < busy ? count : busy));
        }
    }
}

/* A controller that takes none is given as much time to take one as to answer one. */
static void allow_commands(bool may_command) {
    if (hci.may_command && !may_command) {
        hci.command_us = hci.now_us;
    }
    hci.may_command = may_command;
}

static void take_event(uint32_t code, const uint8_t *event, uint32_t bytes) {
    hci.heard_us = hci.now_us;
    switch (code) {
    case EVENT_COMMAND_COMPLETE:
        if (bytes >= 3u) {
            allow_commands(event[0] != 0);
            if (bytes >= 4u) {
                end_command(tyf_get_u16_le(event + 1), event[3], event + 4, bytes - 4u);
            }
        }
        break;
    case EVENT_COMMAND_STATUS:
        if (bytes >= 4u) {
            allow_commands(event[1] != 0);
            end_command(tyf_get_u16_le(event + 2), event[0], event + 4, 0);
        }
        break;
    case EVENT_DISCONNECTED:
        if (bytes >= 4u && event[0] == 0 && hci.is_linked && (tyf_get_u16_le(event + 1) & HANDLE_MASK) == hci.handle) {
            set_link(false);
            hci.wanted |= ADVERTISE;
        }
        break;
    case EVENT_PACKETS_COMPLETED:
        take_credits(event, bytes);
        break;
    case EVENT_LE:
        if (bytes >= 2u) {
            take_le_event(event, bytes);
        }
        break;
    case EVENT_HARDWARE_ERROR:
        restart(true);
        break;
    default:
        break;
    }
}

/* Bytes from the controller. */

/* A packet's header is complete. */
static void begin_packet(void) {
    if (hci.in_head[0] == H4_EVENT) {
        hci.in_left = hci.in_head[2];
        hci.event_bytes = 0;
    } else {
        const uint32_t handle = tyf_get_u16_le(hci.in_head + 1);
        hci.in_left = tyf_get_u16_le(hci.in_head + 3);
        if (hci.is_linked && (handle & HANDLE_MASK) == hci.handle) {
            tyf_ble_l2cap_begin((handle >> 12 & 3u) != CONTINUES);
        }
    }
}

static bool is_for_the_link(void) {
    return hci.is_linked && (tyf_get_u16_le(hci.in_head + 1) & HANDLE_MASK) == hci.handle;
}

static void take_body(const uint8_t *data, uint32_t bytes) {
    if (hci.in_head[0] == H4_ACL) {
        if (is_for_the_link()) {
            tyf_ble_l2cap_take(data, bytes);
        }
        return;
    }
    /* No event that counts is longer. */
    const uint32_t room = EVENT_BYTES - hci.event_bytes;
    const uint32_t count = bytes < room ? bytes : room;
    memcpy(hci.event + hci.event_bytes, data, count);
    hci.event_bytes = (uint8_t)(hci.event_bytes + count);
}

static void end_packet(void) {
    hci.in_head_bytes = 0;
    if (hci.in_head[0] == H4_EVENT) {
        take_event(hci.in_head[1], hci.event, hci.event_bytes);
    } else if (is_for_the_link()) {
        tyf_ble_l2cap_end();
    }
}

static void take(const uint8_t *data, uint32_t bytes) {
    while (bytes > 0) {
        uint32_t count = 1;
        if (hci.in_left != 0) {
            count = bytes < hci.in_left ? bytes : hci.in_left;
            take_body(data, count);
            hci.in_left = (uint16_t)(hci.in_left - count);
        } else {
            hci.in_head[hci.in_head_bytes++] = data[0];
            if (hci.in_head[0] != H4_EVENT && hci.in_head[0] != H4_ACL) {
                hci.in_head_bytes = 0;
                if (hci.step != 0) {
                    restart(true); /* bytes were lost, and with them where packets begin */
                }
            } else if (hci.in_head_bytes == (hci.in_head[0] == H4_EVENT ? 3u : 5u)) {
                begin_packet();
            }
        }
        data += count;
        bytes -= count;
        if (hci.in_left == 0 && hci.in_head_bytes >= (hci.in_head[0] == H4_EVENT ? 3u : 5u)) {
            end_packet();
        }
    }
}

/* Bytes to the controller. */

/* Write what is left of the packet; false: there is no room. */
static bool write_out(void) {
    const uint32_t total = (uint32_t)hci.out_head_bytes + hci.out_body_bytes;
    while (hci.out_done < total) {
        const bool is_head = hci.out_done < hci.out_head_bytes;
        const uint8_t *from =
            is_head ? hci.out_head + hci.out_done : hci.out_body + (hci.out_done - hci.out_head_bytes);
        const uint32_t count = is_head ? (uint32_t)hci.out_head_bytes - hci.out_done : total - hci.out_done;
        const uint32_t taken = tyf_port_hci_write(from, count);
        hci.out_done = (uint16_t)(hci.out_done + taken);
        if (taken < count) {
            return false;
        }
    }
    return true;
}

static bool fragment_next(void) {
    tyf_ble_fragment fragment;
    tyf_ble_l2cap_sent();
    if (!hci.is_linked || hci.credits == 0 || !tyf_ble_l2cap_next(hci.packet_bytes, &fragment)) {
        return false;
    }
    hci.credits--;
    hci.out_head[0] = H4_ACL;
    tyf_put_u16_le(hci.out_head + 1, (uint16_t)(hci.handle | (fragment.is_first ? 0u : CONTINUES << 12)));
    tyf_put_u16_le(hci.out_head + 3, fragment.bytes);
    hci.out_head_bytes = 5;
    hci.out_body = fragment.data;
    hci.out_body_bytes = fragment.bytes;
    hci.out_done = 0;
    return true;
}

/* Time. */

static void watch(void) {
    const uint64_t us = tyf_port_uptime_us();
    const uint64_t span = us - hci.polled_us;
    hci.polled_us = us;
    hci.now_us += span < SPAN_US ? (uint32_t)span : SPAN_US;
    if (hci.command != 0 || !hci.may_command) {
        const uint32_t patience =
            hci.command == RESET && hci.resets < EAGER_RESETS ? COMMAND_US / 4u : (uint32_t)COMMAND_US;
        if (hci.now_us - hci.command_us >= patience) {
            hci.resets = (uint8_t)(hci.command == RESET && hci.resets < EAGER_RESETS ? hci.resets + 1u : hci.resets);
            restart(true);
        }
    } else if (hci.step == STEPS && hci.now_us - hci.heard_us >= KEEP_ALIVE_US) {
        hci.wanted |= KEEP_ALIVE;
        hci.heard_us = hci.now_us;
    }
    const uint32_t stranger_us = hci.now_us - hci.trusted_us;
    if (!hci.is_linked || tyf_ble_the_application->is_trusted()) {
        hci.trusted_us = hci.now_us;
        hci.stays_stranger = false;
        return;
    }
    hci.stays_stranger = hci.stays_stranger || stranger_us >= UNTRUSTED_AGAIN_US;
    if (stranger_us >= (hci.is_wary ? UNTRUSTED_AGAIN_US : UNTRUSTED_US)) {
        hci.trusted_us = hci.now_us;
        hci.wanted |= DROP;
    }
}

bool tyf_ble_poll(void) {
    uint8_t received[64];
    const uint32_t count = tyf_port_hci_read(received, sizeof received);
    take(received, count);
    watch();
    while (write_out() && (command_next() || fragment_next())) {
    }
    return count != 0;
}

uint32_t tyf_ble_now_us(void) {
    return hci.now_us;
}

bool tyf_ble_is_linked(void) {
    return hci.is_linked;
}

bool tyf_ble_has_sent(void) {
    return !hci.is_linked || (tyf_ble_l2cap_is_empty() && hci.credits == hci.packets);
}
