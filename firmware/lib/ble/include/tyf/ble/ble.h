/**
 * A Bluetooth Low Energy peripheral over a controller at tyf/port/hci.h: advertises, takes one connection, and offers
 * management (SMP messages) and a bell for telemetry. docs/spec/ble.md has every byte.
 *
 *     static void received(const uint8_t *data, uint32_t bytes) { ... }      // a piece of a message
 *
 *     static const tyf_ble_application application = {
 *         .device_id = id, .firmware = "sensor 1.0", .linked = linked, .received = received, .is_trusted = is_trusted};
 *
 *     tyf_ble_start(&application);
 *     for (;;) {
 *         bool is_busy = tyf_ble_poll();
 *         sent += tyf_ble_notify(TYF_BLE_MANAGEMENT, reply + sent, reply_bytes - sent);
 *     }
 *
 * Nothing waits and nothing is allocated; without a controller it asks for one every few seconds. One instance a
 * program, in the main loop.
 */
#ifndef TYF_BLE_BLE_H
#define TYF_BLE_BLE_H

#include <stdbool.h>
#include <stdint.h>

#include "tyf/core/wire.h"

/** What the stack asks of and tells the application; called from within tyf_ble_poll(). */
typedef struct {
    const uint8_t *device_id; /**< [TYF_DEVICE_ID_BYTES]; name and address come from it */
    const char *firmware;     /**< what the device information service says, at most 64 characters */
    void (*linked)(bool is_up);
    void (*received)(const uint8_t *data, uint32_t bytes); /**< written to the management characteristic, in order */
    bool (*is_trusted)(void); /**< a link that is not for 10 s ends, after another such one for 4 s */
} tyf_ble_application;

/** What notifications are for. */
typedef enum {
    TYF_BLE_MANAGEMENT, /**< SMP replies */
    TYF_BLE_TELEMETRY,  /**< that records wait */
    TYF_BLE_STREAMS,
} tyf_ble_stream;

/** @param application  and what it points to must outlive its use */
void tyf_ble_start(const tyf_ble_application *application);

/**
 * Take what the controller sent, and send what waits.
 *
 * @return true when it did something: call again before sleeping
 */
bool tyf_ble_poll(void);

/**
 * Notify the central.
 *
 * @return bytes taken, at most what one notification carries; 0 when there is no central that wants them, or the
 *         notification before is still on its way
 */
uint32_t tyf_ble_notify(tyf_ble_stream stream, const uint8_t *data, uint32_t bytes);

/**
 * A clock for patience: microseconds, modulo 2^32, of which a span between two polls adds at most a second. Who waits
 * for a peer is not to blame it for what the program itself took.
 */
uint32_t tyf_ble_now_us(void);

/** @return whether the controller has sent all that it was given, or will never */
bool tyf_ble_has_sent(void);

#endif
