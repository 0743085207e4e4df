/**
 * MCUmgr console framing: SMP messages as lines of base64 between other text on one byte stream.
 *
 *     06 09 base64(length, message, crc) LF        first line, at most 127 bytes
 *     04 14 base64(...) LF                         continuation lines
 *
 * length (u16, big-endian) counts message and CRC; the CRC is CRC-16/XMODEM over the message, big-endian.
 * Everything else on the stream is ignored. A damaged frame is counted and dropped; the next one is read afresh,
 * because the start bytes never occur within base64.
 *
 *     static tyf_smp_console console;
 *     tyf_smp_console_init(&console);
 *     if (tyf_smp_console_receive(&console, byte)) {
 *         handle(tyf_smp_console_message(&console), console.message_bytes);
 *     }
 */
#ifndef TYF_SMP_CONSOLE_H
#define TYF_SMP_CONSOLE_H

#include <stdbool.h>
#include <stdint.h>

#include "tyf/core/config.h"

/** Bytes around a message within a frame: length and CRC. */
#define TYF_SMP_FRAME_OVERHEAD_BYTES 4u

/** Largest message that fits in a frame. */
#define TYF_SMP_MESSAGE_BYTES ((uint32_t)TYF_CFG_SMP_FRAME_BYTES - TYF_SMP_FRAME_OVERHEAD_BYTES)

/* Text of the largest frame: base64 in lines, each with two bytes at its begin and one at its end. */
#define TYF_SMP_FRAME_LINES (((uint32_t)TYF_CFG_SMP_FRAME_BYTES + 92u) / 93u)
#define TYF_SMP_FRAME_TEXT_BYTES (((uint32_t)TYF_CFG_SMP_FRAME_BYTES + 2u) / 3u * 4u + 3u * TYF_SMP_FRAME_LINES)

/** Frames that may be under way at once: the one that is answered, and those that the receive ring holds as text. */
#define TYF_SMP_FRAMES_AT_ONCE (1u + (uint32_t)TYF_CFG_UART_RX_BYTES / TYF_SMP_FRAME_TEXT_BYTES)

/** Receiver of one byte stream. */
typedef struct {
    uint32_t message_bytes; /**< of the message that tyf_smp_console_receive() announced */
    uint32_t bad_frames;    /**< frames that were begun and then dropped */
    /* private */
    uint8_t frame[TYF_CFG_SMP_FRAME_BYTES];
    uint32_t frame_bytes;
    uint32_t group;        /* base64 digits of the group in progress, 6 bits each */
    uint8_t group_digits;  /* how many, 0 .. 3 */
    uint8_t group_padding; /* '=' among them */
    bool is_padded;        /* a padded group ended the base64: only a line end may follow */
    uint8_t last_byte;
    uint8_t state;
} tyf_smp_console;

/** Sends bytes of a frame, in order. */
typedef void (*tyf_smp_transmit)(void *context, const uint8_t *data, uint32_t bytes);

/** Forget everything and listen. */
void tyf_smp_console_init(tyf_smp_console *console);

/**
 * Take one received byte.
 *
 * @return true when it completed an intact message of console->message_bytes, valid until the next call
 */
bool tyf_smp_console_receive(tyf_smp_console *console, uint8_t byte);

/** The message that tyf_smp_console_receive() announced. */
const uint8_t *tyf_smp_console_message(const tyf_smp_console *console);

/**
 * Frame a message and send it line by line.
 *
 * @param message_bytes  1 .. 65533
 */
void tyf_smp_console_send(const uint8_t *message, uint32_t message_bytes, tyf_smp_transmit transmit, void *context);

#endif
