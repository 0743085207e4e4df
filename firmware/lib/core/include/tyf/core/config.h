/**
 * Everything that a build may tune, with default, unit and range. Override with -DTYF_CFG_<NAME>=<value>: for a board
 * in its manifest, for an app in a file app_config.h beside its main.c.
 *
 *     #include "tyf/core/config.h"
 *
 *     static uint8_t ring[TYF_CFG_TELEMETRY_BYTES];
 */
#ifndef TYF_CORE_CONFIG_H
#define TYF_CORE_CONFIG_H

#if __has_include("app_config.h")
#include "app_config.h"
#endif
#if __has_include("model_config.h")
#include "model_config.h"
#endif

/** Largest decoded SMP frame: message, length and CRC. Bytes, 256 .. 8192. */
#ifndef TYF_CFG_SMP_FRAME_BYTES
#define TYF_CFG_SMP_FRAME_BYTES 1024
#endif
#if TYF_CFG_SMP_FRAME_BYTES < 256 || TYF_CFG_SMP_FRAME_BYTES > 8192
#error "TYF_CFG_SMP_FRAME_BYTES must be in 256 .. 8192 bytes"
#endif

/** Nesting that the CBOR reader follows, the outermost map included. Levels, 2 .. 32. */
#ifndef TYF_CFG_CBOR_DEPTH
#define TYF_CFG_CBOR_DEPTH 8
#endif
#if TYF_CFG_CBOR_DEPTH < 2 || TYF_CFG_CBOR_DEPTH > 32
#error "TYF_CFG_CBOR_DEPTH must be in 2 .. 32 levels"
#endif

/** Telemetry ring. Bytes, 2048 .. 16 MiB. */
#ifndef TYF_CFG_TELEMETRY_BYTES
#define TYF_CFG_TELEMETRY_BYTES 65536
#endif
#if TYF_CFG_TELEMETRY_BYTES < 2048 || TYF_CFG_TELEMETRY_BYTES > 16777216
#error "TYF_CFG_TELEMETRY_BYTES must be in 2048 .. 16777216 bytes"
#endif

/**
 * Windows that the last records were made from, for a host to fetch. 0: none are kept. Bytes, 0 .. 16 MiB.
 */
#ifndef TYF_CFG_CAPTURE_BYTES
#if __has_include("tyf/host_board_facts.h")
#define TYF_CFG_CAPTURE_BYTES 16384
#else
#define TYF_CFG_CAPTURE_BYTES 0
#endif
#endif
#if TYF_CFG_CAPTURE_BYTES < 0 || TYF_CFG_CAPTURE_BYTES > 16777216
#error "TYF_CFG_CAPTURE_BYTES must be in 0 .. 16777216 bytes"
#endif

/** Samples that the front end collects before an inference, all channels. Bytes, 256 .. 1 MiB. */
#ifndef TYF_CFG_WINDOW_BYTES
#define TYF_CFG_WINDOW_BYTES 16384
#endif
#if TYF_CFG_WINDOW_BYTES < 256 || TYF_CFG_WINDOW_BYTES > 1048576
#error "TYF_CFG_WINDOW_BYTES must be in 256 .. 1048576 bytes"
#endif

/**
 * Board time after which a self-infer command answers with the cases that it has. Keeps replies shorter than a
 * host's patience on slow boards. Milliseconds, 1 .. 60000.
 */
#ifndef TYF_CFG_SELF_INFER_MS
#define TYF_CFG_SELF_INFER_MS 1000
#endif
#if TYF_CFG_SELF_INFER_MS < 1 || TYF_CFG_SELF_INFER_MS > 60000
#error "TYF_CFG_SELF_INFER_MS must be in 1 .. 60000 ms"
#endif

/** Ring between the UART's receive interrupt and the main loop. Bytes, a power of two, 64 .. 65536. */
#ifndef TYF_CFG_UART_RX_BYTES
#define TYF_CFG_UART_RX_BYTES 2048
#endif
#if TYF_CFG_UART_RX_BYTES < 64 || TYF_CFG_UART_RX_BYTES > 65536 || (TYF_CFG_UART_RX_BYTES & (TYF_CFG_UART_RX_BYTES - 1))
#error "TYF_CFG_UART_RX_BYTES must be a power of two in 64 .. 65536 bytes"
#endif

/** 1: managed over BLE too, through a controller at the board's `hci` UART; 0: the board has none, or does not use it.
 */
#ifndef TYF_CFG_BLE
#if defined(TYF_BOARD_HCI_BASE) || __has_include("tyf/host_board_facts.h")
#define TYF_CFG_BLE 1
#else
#define TYF_CFG_BLE 0
#endif
#endif
#if TYF_CFG_BLE != 0 && TYF_CFG_BLE != 1
#error "TYF_CFG_BLE must be 0 or 1"
#endif

/**
 * 1: everybody in the air may do what everybody at the wire may; 0: only who holds a session may. For development: a
 * program that trusts other than development keys refuses it.
 */
#ifndef TYF_CFG_RADIO_OPEN
#define TYF_CFG_RADIO_OPEN 0
#endif
#if TYF_CFG_RADIO_OPEN != 0 && TYF_CFG_RADIO_OPEN != 1
#error "TYF_CFG_RADIO_OPEN must be 0 or 1"
#endif

/** Rings of the `hci` UART. Bytes, powers of two, 64 .. 65536. */
#ifndef TYF_CFG_HCI_RX_BYTES
#define TYF_CFG_HCI_RX_BYTES 1024
#endif
#if TYF_CFG_HCI_RX_BYTES < 64 || TYF_CFG_HCI_RX_BYTES > 65536 || (TYF_CFG_HCI_RX_BYTES & (TYF_CFG_HCI_RX_BYTES - 1))
#error "TYF_CFG_HCI_RX_BYTES must be a power of two in 64 .. 65536 bytes"
#endif
#ifndef TYF_CFG_HCI_TX_BYTES
#define TYF_CFG_HCI_TX_BYTES 512
#endif
#if TYF_CFG_HCI_TX_BYTES < 64 || TYF_CFG_HCI_TX_BYTES > 65536 || (TYF_CFG_HCI_TX_BYTES & (TYF_CFG_HCI_TX_BYTES - 1))
#error "TYF_CFG_HCI_TX_BYTES must be a power of two in 64 .. 65536 bytes"
#endif

/** Different kernels that one model blob may use. Pointers, 1 .. 254. */
#ifndef TYF_CFG_BLOB_KERNELS
#define TYF_CFG_BLOB_KERNELS 32
#endif
#if TYF_CFG_BLOB_KERNELS < 1 || TYF_CFG_BLOB_KERNELS > 254
#error "TYF_CFG_BLOB_KERNELS must be in 1 .. 254"
#endif

/** Events that a board remembers over its resets (24 bytes each); 0: none. 0 .. 1024. */
#ifndef TYF_CFG_EVENTS
#if defined(TYF_BOARD_AREA_SETTINGS_0_BYTES) || __has_include("tyf/host_board_facts.h")
#define TYF_CFG_EVENTS 32
#else
#define TYF_CFG_EVENTS 0
#endif
#endif
#if TYF_CFG_EVENTS < 0 || TYF_CFG_EVENTS > 1024
#error "TYF_CFG_EVENTS must be in 0 .. 1024"
#endif

/**
 * 1: live inference runs above management, models are tried under a guard, crashes leave a full record; 0: all runs in
 * the main loop and a fault leaves only where it was. About 2.5 KB of flash and 0.3 KB of RAM.
 */
#ifndef TYF_CFG_GUARD
#define TYF_CFG_GUARD 1
#endif
#if TYF_CFG_GUARD != 0 && TYF_CFG_GUARD != 1
#error "TYF_CFG_GUARD must be 0 or 1"
#endif

/** Longest that one live inference may take before it counts as hanging. Milliseconds, 100 .. 60000. */
#ifndef TYF_CFG_LIVE_LIMIT_MS
#define TYF_CFG_LIVE_LIMIT_MS 30000
#endif
#if TYF_CFG_LIVE_LIMIT_MS < 100 || TYF_CFG_LIVE_LIMIT_MS > 60000
#error "TYF_CFG_LIVE_LIMIT_MS must be in 100 .. 60000 ms"
#endif

/**
 * Working memory for a model that is loaded at run time; two arenas of this size, or of the built-in model's if that is
 * larger. 0: no models but the built-in one. Bytes, up to 2 MiB. A generated model_config.h sets it (tinyfleet compile
 * --swap-arena).
 */
#ifndef TYF_CFG_MODEL_ARENA_BYTES
#define TYF_CFG_MODEL_ARENA_BYTES 0
#endif
#if TYF_CFG_MODEL_ARENA_BYTES < 0 || TYF_CFG_MODEL_ARENA_BYTES > 2097152
#error "TYF_CFG_MODEL_ARENA_BYTES must be in 0 .. 2097152 bytes"
#endif

/** Longest inference of a model that is being tried, where the host does not say. Milliseconds, 3 .. 60000. */
#ifndef TYF_CFG_MODEL_BUDGET_MS
#define TYF_CFG_MODEL_BUDGET_MS 5000
#endif
#if TYF_CFG_MODEL_BUDGET_MS < 3 || TYF_CFG_MODEL_BUDGET_MS > 60000
#error "TYF_CFG_MODEL_BUDGET_MS must be in 3 .. 60000 ms"
#endif

/**
 * After so many bytes of a firmware image or a model its place is kept durably, so that it goes on there after a
 * restart; a page of flash where that is more. Bytes, a power of two, 1024 .. 1 MiB.
 */
#ifndef TYF_CFG_TRANSFER_MARK_BYTES
#define TYF_CFG_TRANSFER_MARK_BYTES 16384
#endif
#if TYF_CFG_TRANSFER_MARK_BYTES < 1024 || TYF_CFG_TRANSFER_MARK_BYTES > 1048576 ||                                     \
    (TYF_CFG_TRANSFER_MARK_BYTES & (TYF_CFG_TRANSFER_MARK_BYTES - 1))
#error "TYF_CFG_TRANSFER_MARK_BYTES must be a power of two in 1024 .. 1048576 bytes"
#endif

/** 1: an emulated board's flash stops where a test wants power to fail; 0: in every program that is used. */
#ifndef TYF_CFG_FLASH_CUT
#define TYF_CFG_FLASH_CUT 0
#endif
#if TYF_CFG_FLASH_CUT != 0 && TYF_CFG_FLASH_CUT != 1
#error "TYF_CFG_FLASH_CUT must be 0 or 1"
#endif

/**
 * 1: a test build writes each record's identity to a UART of its own before the record enters the ring
 * (tyf/port/witness.h), and nobody signs it; 0: in every program that is used.
 */
#ifndef TYF_CFG_WITNESS
#define TYF_CFG_WITNESS 0
#endif
#if TYF_CFG_WITNESS != 0 && TYF_CFG_WITNESS != 1
#error "TYF_CFG_WITNESS must be 0 or 1"
#endif

/**
 * 1: the core never sleeps, for measurements: an emulator counts the instructions of a core that is awake, while a
 * sleeping one's clock follows the host's; 0: it sleeps where nothing is to be done.
 */
#ifndef TYF_CFG_STAY_AWAKE
#define TYF_CFG_STAY_AWAKE 0
#endif
#if TYF_CFG_STAY_AWAKE != 0 && TYF_CFG_STAY_AWAKE != 1
#error "TYF_CFG_STAY_AWAKE must be 0 or 1"
#endif

/** 1: check our own assumptions at run time (tests, debug builds); 0: trust them. */
#ifndef TYF_CFG_ASSERT
#define TYF_CFG_ASSERT 0
#endif
#if TYF_CFG_ASSERT != 0 && TYF_CFG_ASSERT != 1
#error "TYF_CFG_ASSERT must be 0 or 1"
#endif

#endif
