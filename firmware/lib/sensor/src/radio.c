/* Management and the bell for telemetry through the air. */
#include "sensor.h"

#if TYF_CFG_BLE

#include <stddef.h>

#include "tyf/ble/ble.h"
#include "tyf/management/management.h"
#include "tyf/session/group.h"
#include "tyf/smp/raw.h"

#ifndef TYF_BOARD_AREA_SETTINGS_0_BYTES
#error "a board without settings keeps no key, so nobody could be trusted in the air: set TYF_CFG_BLE to 0"
#endif
#if TYF_CFG_RADIO_OPEN && defined(__has_include)
#if __has_include("tyf_keys.h")
#include "tyf_keys.h"
#if !TYF_KEYS_ARE_FOR_DEVELOPMENT
#error "TYF_CFG_RADIO_OPEN is for development: build with development keys, or leave it out"
#endif
#endif
#endif

#define MESSAGE_GAP_US ((uint32_t)TYF_BLE_MESSAGE_GAP_S * 1000000u)
#define BELL_GAP_US 200000u /* a host pulls many records at once, and needs no bell for each */

static struct {
    bool is_running;
    uint32_t heard_us, rung_us;
    uint32_t rung_for; /* records that the last bell was about */
    tyf_smp_raw server;
} radio;

static void linked(bool is_up) {
    (void)is_up;
    tyf_smp_raw_reset(&radio.server);
    tyf_session_end(TYF_SESSION_RADIO);
    radio.rung_for = 0;
}

static void received(const uint8_t *data, uint32_t bytes) {
    radio.heard_us = tyf_ble_now_us();
    tyf_smp_raw_receive(&radio.server, data, bytes);
}

static bool is_trusted(void) {
    return TYF_CFG_RADIO_OPEN || tyf_session_is_open(TYF_SESSION_RADIO);
}

void tyf_sensor_start_radio(void) {
    static tyf_ble_application application = {
        .firmware = tyf_smp_application, .linked = linked, .received = received, .is_trusted = is_trusted};
    tyf_smp_raw_init(&radio.server, &tyf_sensor_registry, TYF_SMP_TRUST_RADIO);
    application.device_id = tyf_sensor_state.identity.device_id;
    /* Whoever it is must be known by its name: no identity, no radio. */
    radio.is_running = tyf_sensor_state.identity.boot_id != 0;
    if (radio.is_running) {
        tyf_ble_start(&application);
    }
}

/* Answer, and hand the reply on as far as the link takes it. */
static bool serve(void) {
    bool is_busy = false;
    if (tyf_ble_now_us() - radio.heard_us >= MESSAGE_GAP_US) {
        radio.heard_us = tyf_ble_now_us();
        tyf_smp_raw_pause(&radio.server);
    }
    is_busy = tyf_smp_raw_answer(&radio.server);
    const uint32_t bytes = tyf_smp_raw_reply_bytes(&radio.server);
    if (bytes > 0) {
        const uint32_t taken = tyf_ble_notify(TYF_BLE_MANAGEMENT, tyf_smp_raw_reply(&radio.server), bytes);
        tyf_smp_raw_sent(&radio.server, taken);
        is_busy |= taken > 0;
    }
    if (tyf_smp_raw_is_sent(&radio.server) && tyf_ble_has_sent()) {
        tyf_smp_raw_finish(&radio.server);
        is_busy = true;
    }
    return is_busy;
}

/* Strangers do not hear when this board has something to tell. */
static bool ring(void) {
    static const uint8_t bell = TYF_BLE_BELL_RECORDS_WAIT;
    const uint32_t produced = tyf_telemetry_ring_produced(&tyf_sensor_state.ring);
    if (produced == radio.rung_for || tyf_ble_now_us() - radio.rung_us < BELL_GAP_US || !is_trusted() ||
        tyf_ble_notify(TYF_BLE_TELEMETRY, &bell, sizeof bell) == 0) {
        return false;
    }
    radio.rung_for = produced;
    radio.rung_us = tyf_ble_now_us();
    return true;
}

bool tyf_sensor_poll_radio(void) {
    if (!radio.is_running) {
        return false;
    }
    const bool has_heard = tyf_ble_poll();
    const bool has_served = serve();
    const bool has_rung = ring();
    return has_heard || has_served || has_rung;
}

#endif
