/* The ATT server: reads and writes of the table in gatt.c, and notifications. */
#include <stddef.h>
#include <string.h>

#include "stack.h"
#include "tyf/core/bytes.h"

#define ERROR_ANSWER 0x01u
#define MTU_REQUEST 0x02u
#define FIND_INFORMATION 0x04u
#define FIND_BY_VALUE 0x06u
#define READ_BY_TYPE 0x08u
#define READ 0x0au
#define READ_REST 0x0cu
#define READ_BY_GROUP 0x10u
#define WRITE 0x12u
#define NOTIFICATION 0x1bu
#define CONFIRMATION 0x1eu
#define WRITE_COMMAND 0x52u
#define IS_COMMAND 0x40u
#define IS_ANSWER 0x01u /* every opcode that is odd is the server's */

#define INVALID_HANDLE 0x01u
#define READ_NOT_PERMITTED 0x02u
#define WRITE_NOT_PERMITTED 0x03u
#define INVALID_PDU 0x04u
#define NOT_SUPPORTED 0x06u
#define INVALID_OFFSET 0x07u
#define NOT_FOUND 0x0au
#define INVALID_LENGTH 0x0du
#define UNSUPPORTED_GROUP 0x10u
#define SWITCH_IMPROPER 0xfdu

#define PRIMARY_SERVICE 0x2800u
#define SECONDARY_SERVICE 0x2801u
#define NOTIFY_ON 1u
#define NOTIFICATION_HEADER_BYTES 3u
#define UUID_BYTES 16u
#define FORMAT_16 1u
#define FORMAT_128 2u

static struct {
    uint16_t mtu;
    uint16_t switches[TYF_BLE_STREAMS];
    uint8_t *answer; /* that is being made; the slot is free */
} att;

void tyf_ble_att_reset(void) {
    att.mtu = LEAST_MTU_BYTES;
    memset(att.switches, 0, sizeof att.switches);
}

static void answer(uint32_t bytes) {
    tyf_ble_l2cap_send(SLOT_ATT, bytes);
}

static void refuse(uint8_t opcode, uint16_t handle, uint8_t error) {
    att.answer[0] = ERROR_ANSWER;
    att.answer[1] = opcode;
    tyf_put_u16_le(att.answer + 2, handle);
    att.answer[4] = error;
    answer(5);
}

static const tyf_ble_attribute *find(uint16_t handle) {
    return handle != 0 && handle <= tyf_ble_last_handle ? &tyf_ble_attributes[handle - 1u] : NULL;
}

/* The whole value of an attribute that can be read. */
static uint32_t value_of(const tyf_ble_attribute *attribute, const uint8_t **value) {
    static uint8_t state[2];
    if (attribute->access & SWITCH) {
        tyf_put_u16_le(state, att.switches[attribute->text]);
        *value = state;
        return sizeof state;
    }
    if (attribute->text != 0) {
        return tyf_ble_gatt_text(attribute->text, value);
    }
    *value = attribute->value;
    return attribute->value_bytes;
}

/* A type in a request, 2 or 16 bytes, of which some clients write the short ones in long. */
typedef struct {
    const uint8_t *uuid; /* NULL: short */
    uint16_t type;
} wanted_type;

static wanted_type read_type(const uint8_t *uuid, uint32_t bytes) {
    static const uint8_t base[12] = {0xfb, 0x34, 0x9b, 0x5f, 0x80, 0, 0, 0x80, 0, 0x10, 0, 0};
    if (bytes == 2u) {
        return (wanted_type){NULL, tyf_get_u16_le(uuid)};
    }
    if (memcmp(uuid, base, sizeof base) == 0 && tyf_get_u16_le(uuid + 14) == 0) {
        return (wanted_type){NULL, tyf_get_u16_le(uuid + 12)};
    }
    return (wanted_type){uuid, 0};
}

static bool is_of_type(const tyf_ble_attribute *attribute, wanted_type wanted) {
    if (attribute->uuid == NULL || wanted.uuid == NULL) {
        return attribute->uuid == wanted.uuid && attribute->type == wanted.type;
    }
    return memcmp(attribute->uuid, wanted.uuid, UUID_BYTES) == 0;
}

static uint32_t least(uint32_t a, uint32_t b) {
    return a < b ? a : b;
}

static void exchange_mtu(const uint8_t *request) {
    const uint32_t theirs = tyf_get_u16_le(request + 1);
    att.answer[0] = MTU_REQUEST + 1u;
    tyf_put_u16_le(att.answer + 1, MTU_BYTES);
    answer(3);
    att.mtu = (uint16_t)(theirs < LEAST_MTU_BYTES ? LEAST_MTU_BYTES : least(theirs, MTU_BYTES));
}

/* The handles of a range, as far as they have types of one size. */
static uint32_t find_information(uint16_t first, uint16_t last) {
    uint32_t count = 2;
    for (uint16_t handle = first; handle <= last; handle++) {
        const tyf_ble_attribute *attribute = find(handle);
        const uint8_t format = attribute->uuid != NULL ? FORMAT_128 : FORMAT_16;
        const uint32_t bytes = format == FORMAT_128 ? UUID_BYTES : 2u;
        if ((count > 2u && format != att.answer[1]) || count + 2u + bytes > att.mtu) {
            break;
        }
        att.answer[1] = format;
        tyf_put_u16_le(att.answer + count, handle);
        if (format == FORMAT_128) {
            memcpy(att.answer + count + 2, attribute->uuid, UUID_BYTES);
        } else {
            tyf_put_u16_le(att.answer + count + 2, attribute->type);
        }
        count += 2u + bytes;
    }
    return count > 2u ? count : 0;
}

/* The groups whose attribute has a type and a value. */
static uint32_t find_by_value(uint16_t first, uint16_t last, const uint8_t *request, uint32_t bytes) {
    uint32_t count = 1;
    for (uint16_t handle = first; handle <= last && count + 4u <= att.mtu; handle++) {
        const tyf_ble_attribute *attribute = find(handle);
        const uint8_t *value;
        if (!is_of_type(attribute, read_type(request + 5, 2)) || (attribute->access & READABLE) == 0 ||
            value_of(attribute, &value) != bytes - 7u || memcmp(value, request + 7, bytes - 7u) != 0) {
            continue;
        }
        tyf_put_u16_le(att.answer + count, handle);
        tyf_put_u16_le(att.answer + count + 2, attribute->group_end != 0 ? attribute->group_end : handle);
        count += 4u;
    }
    return count > 1u ? count : 0;
}

/* Handles and values of a type, as far as they are of one size; with the ends of their groups where they are asked for.
 * An error with its handle ends the search when nothing was found before it. */
static uint32_t read_by_type(uint16_t first, uint16_t last, wanted_type wanted, bool is_group, uint16_t *refused) {
    const uint32_t head_bytes = is_group ? 4u : 2u;
    uint32_t count = 2, entry_bytes = 0;
    for (uint16_t handle = first; handle <= last; handle++) {
        const tyf_ble_attribute *attribute = find(handle);
        if (!is_of_type(attribute, wanted)) {
            continue;
        }
        if ((attribute->access & READABLE) == 0) {
            *refused = handle;
            break;
        }
        const uint8_t *value;
        /* An entry's size is one byte. */
        const uint32_t bytes = least(value_of(attribute, &value), least((uint32_t)att.mtu - 2u, 255u) - head_bytes);
        if ((entry_bytes != 0 && bytes + head_bytes != entry_bytes) || count + head_bytes + bytes > att.mtu) {
            break;
        }
        entry_bytes = head_bytes + bytes;
        tyf_put_u16_le(att.answer + count, handle);
        if (is_group) {
            tyf_put_u16_le(att.answer + count + 2, attribute->group_end);
        }
        memcpy(att.answer + count + head_bytes, value, bytes);
        count += entry_bytes;
    }
    att.answer[1] = (uint8_t)entry_bytes;
    return entry_bytes != 0 ? count : 0;
}

/* The four requests over a range of handles. */
static void search(const uint8_t *request, uint32_t bytes) {
    const uint8_t opcode = request[0];
    const bool has_type = opcode == READ_BY_TYPE || opcode == READ_BY_GROUP;
    if (opcode == FIND_INFORMATION ? bytes != 5u : opcode == FIND_BY_VALUE ? bytes < 7u : bytes != 7u && bytes != 21u) {
        refuse(opcode, 0, INVALID_PDU);
        return;
    }
    const uint16_t first = tyf_get_u16_le(request + 1);
    uint16_t last = tyf_get_u16_le(request + 3);
    if (first == 0 || first > last) {
        refuse(opcode, first, INVALID_HANDLE);
        return;
    }
    last = last < tyf_ble_last_handle ? last : tyf_ble_last_handle;
    const wanted_type wanted = has_type ? read_type(request + 5, bytes - 5u) : (wanted_type){NULL, 0};
    if (opcode == READ_BY_GROUP &&
        (wanted.uuid != NULL || (wanted.type != PRIMARY_SERVICE && wanted.type != SECONDARY_SERVICE))) {
        refuse(opcode, first, UNSUPPORTED_GROUP);
        return;
    }
    uint16_t refused = 0;
    const uint32_t count = opcode == FIND_INFORMATION ? find_information(first, last)
                           : opcode == FIND_BY_VALUE
                               ? find_by_value(first, last, request, bytes)
                               : read_by_type(first, last, wanted, opcode == READ_BY_GROUP, &refused);
    if (count != 0) {
        att.answer[0] = opcode + 1u;
        answer(count);
    } else if (refused != 0) {
        refuse(opcode, refused, READ_NOT_PERMITTED);
    } else {
        refuse(opcode, first, NOT_FOUND);
    }
}

static void read(const uint8_t *request, uint32_t bytes) {
    const bool is_rest = request[0] == READ_REST;
    if (bytes != (is_rest ? 5u : 3u)) {
        refuse(request[0], 0, INVALID_PDU);
        return;
    }
    const uint16_t handle = tyf_get_u16_le(request + 1);
    const uint32_t offset = is_rest ? tyf_get_u16_le(request + 3) : 0u;
    const tyf_ble_attribute *attribute = find(handle);
    if (attribute == NULL) {
        refuse(request[0], handle, INVALID_HANDLE);
        return;
    }
    if ((attribute->access & READABLE) == 0) {
        refuse(request[0], handle, READ_NOT_PERMITTED);
        return;
    }
    const uint8_t *value;
    const uint32_t value_bytes = value_of(attribute, &value);
    if (offset > value_bytes) {
        refuse(request[0], handle, INVALID_OFFSET);
        return;
    }
    const uint32_t count = least(value_bytes - offset, (uint32_t)att.mtu - 1u);
    att.answer[0] = request[0] + 1u;
    memcpy(att.answer + 1, value + offset, count);
    answer(1u + count);
}

/* Only the switches take writes that are answered. */
static void write(const uint8_t *request, uint32_t bytes) {
    if (bytes < 3u) {
        refuse(WRITE, 0, INVALID_PDU);
        return;
    }
    const uint16_t handle = tyf_get_u16_le(request + 1);
    const tyf_ble_attribute *attribute = find(handle);
    uint8_t error = 0;
    if (attribute == NULL) {
        error = INVALID_HANDLE;
    } else if ((attribute->access & SWITCH) == 0) {
        error = WRITE_NOT_PERMITTED;
    } else if (bytes != 5u) {
        error = INVALID_LENGTH;
    } else if ((tyf_get_u16_le(request + 3) & ~NOTIFY_ON) != 0) {
        error = SWITCH_IMPROPER;
    }
    if (error != 0) {
        refuse(WRITE, handle, error);
        return;
    }
    att.answer[0] = WRITE + 1u;
    answer(1);
    att.switches[attribute->text] = tyf_get_u16_le(request + 3);
}

static void write_command(const uint8_t *request, uint32_t bytes) {
    const tyf_ble_attribute *attribute = bytes >= 3u ? find(tyf_get_u16_le(request + 1)) : NULL;
    if (attribute != NULL && (attribute->access & WRITABLE_BY_COMMAND) != 0) {
        tyf_ble_the_application->received(request + 3, bytes - 3u);
    }
}

void tyf_ble_att_receive(const uint8_t *request, uint32_t bytes) {
    const uint8_t opcode = request[0];
    if (bytes > att.mtu) {
        return; /* more than was agreed on */
    }
    if (opcode == WRITE_COMMAND) {
        write_command(request, bytes);
        return;
    }
    att.answer = tyf_ble_l2cap_room(SLOT_ATT);
    if (att.answer == NULL || (opcode & (IS_COMMAND | IS_ANSWER)) != 0 || opcode == CONFIRMATION) {
        return; /* who asks before the answer before gets none */
    }
    switch (opcode) {
    case MTU_REQUEST:
        if (bytes == 3u) {
            exchange_mtu(request);
        } else {
            refuse(opcode, 0, INVALID_PDU);
        }
        break;
    case FIND_INFORMATION:
    case FIND_BY_VALUE:
    case READ_BY_TYPE:
    case READ_BY_GROUP:
        search(request, bytes);
        break;
    case READ:
    case READ_REST:
        read(request, bytes);
        break;
    case WRITE:
        write(request, bytes);
        break;
    default: /* prepared writes among them: longer ones than fit are nobody's business here */
        refuse(opcode, 0, NOT_SUPPORTED);
    }
}

uint32_t tyf_ble_notify(tyf_ble_stream stream, const uint8_t *data, uint32_t bytes) {
    uint8_t *notification = tyf_ble_l2cap_room(SLOT_NOTIFY);
    /* An answer that waits goes first: it may be the one that turned notifications on. */
    if (!tyf_ble_is_linked() || att.switches[stream] == 0 || notification == NULL || bytes == 0) {
        return 0;
    }
    const uint32_t count = least(bytes, (uint32_t)att.mtu - NOTIFICATION_HEADER_BYTES);
    notification[0] = NOTIFICATION;
    tyf_put_u16_le(notification + 1, tyf_ble_value_handles[stream]);
    memcpy(notification + NOTIFICATION_HEADER_BYTES, data, count);
    tyf_ble_l2cap_send(SLOT_NOTIFY, NOTIFICATION_HEADER_BYTES + count);
    return count;
}
