/* The services: a constant table in the order of handles. docs/spec/ble.md shows the same table. */
#include <stddef.h>
#include <string.h>

#include "stack.h"
#include "tyf/core/bytes.h"
#include "tyf/port/system.h"

enum {
    HANDLE_ACCESS_SERVICE = 1,
    HANDLE_NAME_AT,
    HANDLE_NAME,
    HANDLE_APPEARANCE_AT,
    HANDLE_APPEARANCE,
    HANDLE_ATTRIBUTE_SERVICE,
    HANDLE_MANAGEMENT_SERVICE,
    HANDLE_MANAGEMENT_AT,
    HANDLE_MANAGEMENT,
    HANDLE_MANAGEMENT_SWITCH,
    HANDLE_TELEMETRY_SERVICE,
    HANDLE_TELEMETRY_AT,
    HANDLE_TELEMETRY,
    HANDLE_TELEMETRY_SWITCH,
    HANDLE_DEVICE_SERVICE,
    HANDLE_MANUFACTURER_AT,
    HANDLE_MANUFACTURER,
    HANDLE_MODEL_AT,
    HANDLE_MODEL,
    HANDLE_SERIAL_AT,
    HANDLE_SERIAL,
    HANDLE_FIRMWARE_AT,
    HANDLE_FIRMWARE,
    HANDLES,
};

enum { TEXT_NONE, TEXT_NAME, TEXT_MODEL, TEXT_SERIAL, TEXT_FIRMWARE };

#define PROPERTY_READ 0x02u
#define PROPERTY_WRITE_COMMAND 0x04u
#define PROPERTY_NOTIFY 0x10u

#define TYPE_SERVICE 0x2800u
#define TYPE_CHARACTERISTIC 0x2803u
#define TYPE_SWITCH 0x2902u /* client characteristic configuration */

#define SERIAL_BYTES (2u * TYF_DEVICE_ID_BYTES)
#define FIRMWARE_MOST_BYTES 64u

const uint8_t tyf_ble_management_uuid[16] = {TYF_BLE_MANAGEMENT_SERVICE_UUID};
static const uint8_t management_value_uuid[16] = {TYF_BLE_MANAGEMENT_UUID};
static const uint8_t telemetry_uuid[16] = {TYF_BLE_TELEMETRY_SERVICE_UUID};
static const uint8_t telemetry_value_uuid[16] = {TYF_BLE_TELEMETRY_UUID};

#define SHORT(value) (uint8_t)((value) & 0xffu), (uint8_t)((value) >> 8)

static const uint8_t access_service[] = {SHORT(0x1800u)};
static const uint8_t name_at[] = {PROPERTY_READ, SHORT(HANDLE_NAME), SHORT(0x2a00u)};
static const uint8_t appearance_at[] = {PROPERTY_READ, SHORT(HANDLE_APPEARANCE), SHORT(0x2a01u)};
static const uint8_t appearance[] = {SHORT(0x0540u)}; /* a sensor */
static const uint8_t attribute_service[] = {SHORT(0x1801u)};
static const uint8_t management_at[] = {PROPERTY_WRITE_COMMAND | PROPERTY_NOTIFY, SHORT(HANDLE_MANAGEMENT),
                                        TYF_BLE_MANAGEMENT_UUID};
static const uint8_t telemetry_at[] = {PROPERTY_NOTIFY, SHORT(HANDLE_TELEMETRY), TYF_BLE_TELEMETRY_UUID};
static const uint8_t device_service[] = {SHORT(0x180au)};
static const uint8_t manufacturer_at[] = {PROPERTY_READ, SHORT(HANDLE_MANUFACTURER), SHORT(0x2a29u)};
static const uint8_t manufacturer[] = {'t', 'i', 'n', 'y', 'f', 'l', 'e', 'e', 't'};
static const uint8_t model_at[] = {PROPERTY_READ, SHORT(HANDLE_MODEL), SHORT(0x2a24u)};
static const uint8_t serial_at[] = {PROPERTY_READ, SHORT(HANDLE_SERIAL), SHORT(0x2a25u)};
static const uint8_t firmware_at[] = {PROPERTY_READ, SHORT(HANDLE_FIRMWARE), SHORT(0x2a26u)};

#define BYTES(name) .value = (name), .value_bytes = sizeof(name)
#define SERVICE(name, last) .type = TYPE_SERVICE, .access = READABLE, BYTES(name), .group_end = (last)
#define CHARACTERISTIC(name) .type = TYPE_CHARACTERISTIC, .access = READABLE, BYTES(name)
#define TEXT(uuid, which) .type = (uuid), .access = READABLE, .text = (which)
#define NOTIFICATIONS_OF(stream) .type = TYPE_SWITCH, .access = READABLE | SWITCH, .text = (stream)
#define AT(handle) [(handle) - 1]

const tyf_ble_attribute tyf_ble_attributes[] = {
    AT(HANDLE_ACCESS_SERVICE) = {SERVICE(access_service, HANDLE_APPEARANCE)},
    AT(HANDLE_NAME_AT) = {CHARACTERISTIC(name_at)},
    AT(HANDLE_NAME) = {TEXT(0x2a00u, TEXT_NAME)},
    AT(HANDLE_APPEARANCE_AT) = {CHARACTERISTIC(appearance_at)},
    AT(HANDLE_APPEARANCE) = {.type = 0x2a01u, .access = READABLE, BYTES(appearance)},
    AT(HANDLE_ATTRIBUTE_SERVICE) = {SERVICE(attribute_service, HANDLE_ATTRIBUTE_SERVICE)},
    AT(HANDLE_MANAGEMENT_SERVICE) = {SERVICE(tyf_ble_management_uuid, HANDLE_MANAGEMENT_SWITCH)},
    AT(HANDLE_MANAGEMENT_AT) = {CHARACTERISTIC(management_at)},
    AT(HANDLE_MANAGEMENT) = {.uuid = management_value_uuid, .access = WRITABLE_BY_COMMAND},
    AT(HANDLE_MANAGEMENT_SWITCH) = {NOTIFICATIONS_OF(TYF_BLE_MANAGEMENT)},
    AT(HANDLE_TELEMETRY_SERVICE) = {SERVICE(telemetry_uuid, HANDLE_TELEMETRY_SWITCH)},
    AT(HANDLE_TELEMETRY_AT) = {CHARACTERISTIC(telemetry_at)},
    AT(HANDLE_TELEMETRY) = {.uuid = telemetry_value_uuid},
    AT(HANDLE_TELEMETRY_SWITCH) = {NOTIFICATIONS_OF(TYF_BLE_TELEMETRY)},
    AT(HANDLE_DEVICE_SERVICE) = {SERVICE(device_service, HANDLE_FIRMWARE)},
    AT(HANDLE_MANUFACTURER_AT) = {CHARACTERISTIC(manufacturer_at)},
    AT(HANDLE_MANUFACTURER) = {.type = 0x2a29u, .access = READABLE, BYTES(manufacturer)},
    AT(HANDLE_MODEL_AT) = {CHARACTERISTIC(model_at)},
    AT(HANDLE_MODEL) = {TEXT(0x2a24u, TEXT_MODEL)},
    AT(HANDLE_SERIAL_AT) = {CHARACTERISTIC(serial_at)},
    AT(HANDLE_SERIAL) = {TEXT(0x2a25u, TEXT_SERIAL)},
    AT(HANDLE_FIRMWARE_AT) = {CHARACTERISTIC(firmware_at)},
    AT(HANDLE_FIRMWARE) = {TEXT(0x2a26u, TEXT_FIRMWARE)},
};
_Static_assert(sizeof tyf_ble_attributes / sizeof tyf_ble_attributes[0] == HANDLES - 1,
               "every handle has its attribute");

const uint16_t tyf_ble_last_handle = HANDLES - 1;
const uint16_t tyf_ble_value_handles[TYF_BLE_STREAMS] = {HANDLE_MANAGEMENT, HANDLE_TELEMETRY};

uint8_t tyf_ble_name[NAME_BYTES];
static uint8_t serial[SERIAL_BYTES];

void tyf_ble_gatt_start(void) {
    static const char digits[] = "0123456789abcdef";
    for (uint32_t i = 0; i < SERIAL_BYTES; i++) {
        const uint32_t byte = tyf_ble_the_application->device_id[i / 2u];
        serial[i] = (uint8_t)digits[i % 2u == 0 ? byte >> 4 : byte & 15u];
    }
    memcpy(tyf_ble_name, TYF_BLE_NAME_PREFIX, NAME_BYTES - TYF_BLE_NAME_DIGITS);
    memcpy(tyf_ble_name + NAME_BYTES - TYF_BLE_NAME_DIGITS, serial, TYF_BLE_NAME_DIGITS);
}

static uint32_t text_of(const char *text, const uint8_t **value) {
    uint32_t bytes = 0;
    while (bytes < FIRMWARE_MOST_BYTES && text[bytes] != '\0') {
        bytes++;
    }
    *value = (const uint8_t *)text;
    return bytes;
}

uint32_t tyf_ble_gatt_text(uint32_t text, const uint8_t **value) {
    switch (text) {
    case TEXT_NAME:
        *value = tyf_ble_name;
        return NAME_BYTES;
    case TEXT_MODEL:
        return text_of(tyf_port_board(), value);
    case TEXT_SERIAL:
        *value = serial;
        return SERIAL_BYTES;
    default:
        return text_of(tyf_ble_the_application->firmware, value);
    }
}
