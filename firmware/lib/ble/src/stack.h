/* What the layers of lib/ble share, from the controller up: hci.c, l2cap.c, att.c on the table in gatt.c. */
#ifndef TYF_BLE_PRIVATE_H
#define TYF_BLE_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

#include "tyf/ble/ble.h"

#define MTU_BYTES 247u        /* of ATT: with its L2CAP header it fills one packet of 251 bytes */
#define LEAST_MTU_BYTES 23u   /* until the central asks for more */
#define L2CAP_HEADER_BYTES 4u /* length, channel */
#define PDU_BYTES (L2CAP_HEADER_BYTES + MTU_BYTES)
#define ADDRESS_BYTES 6u

/* hci.c: the controller, and the one link. */

extern const tyf_ble_application *tyf_ble_the_application;

bool tyf_ble_is_linked(void);

/* l2cap.c */

/* What may wait to be sent at once: an answer in each protocol, and a notification. In the order of precedence. */
typedef enum { SLOT_SIGNALLING, SLOT_PAIRING, SLOT_ATT, SLOT_NOTIFY, SLOTS } tyf_ble_slot;

/* Part of an ACL packet, ready to be sent. */
typedef struct {
    const uint8_t *data;
    uint16_t bytes;
    bool is_first;
} tyf_ble_fragment;

/* Forget everything: a link begins or ended. */
void tyf_ble_l2cap_reset(void);

void tyf_ble_l2cap_begin(bool is_first);
void tyf_ble_l2cap_take(const uint8_t *data, uint32_t bytes);
void tyf_ble_l2cap_end(void);

/* Where a message for that slot goes; NULL: the one before is still on its way. */
uint8_t *tyf_ble_l2cap_room(tyf_ble_slot slot);
void tyf_ble_l2cap_send(tyf_ble_slot slot, uint32_t bytes);

/* The next part of at most `most` bytes, in one order for all; false: nothing waits. */
bool tyf_ble_l2cap_next(uint32_t most, tyf_ble_fragment *fragment);

/* The fragment that was last asked for is out: its memory may change. */
void tyf_ble_l2cap_sent(void);

bool tyf_ble_l2cap_is_empty(void);

/* att.c */

void tyf_ble_att_reset(void);
void tyf_ble_att_receive(const uint8_t *request, uint32_t bytes);

/* gatt.c */

enum { READABLE = 1, WRITABLE_BY_COMMAND = 2, SWITCH = 4 }; /* SWITCH: a descriptor that turns notifications on */

typedef struct {
    const uint8_t *uuid; /* of 128 bits; NULL: type counts */
    const uint8_t *value;
    uint16_t type;
    uint8_t value_bytes;
    uint8_t access;
    uint8_t group_end; /* of a service: its last handle; else 0 */
    uint8_t text;      /* which text it is, instead of value; or which stream a SWITCH is for */
} tyf_ble_attribute;

extern const tyf_ble_attribute tyf_ble_attributes[];
extern const uint16_t tyf_ble_last_handle;
extern const uint8_t tyf_ble_management_uuid[16];
extern const uint16_t tyf_ble_value_handles[TYF_BLE_STREAMS];

#define NAME_BYTES 8u

/* Make the texts that depend on the device. */
void tyf_ble_gatt_start(void);

/* @return bytes of a text */
uint32_t tyf_ble_gatt_text(uint32_t text, const uint8_t **value);

extern uint8_t tyf_ble_name[NAME_BYTES];

#endif
