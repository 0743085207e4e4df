/**
 * Console framing of SMP messages, as MCUmgr does it: lines of at most 128 bytes that start with 06 09 (first) or 04 14
 * (continuation), base64, LF. Decoded: u16 length (big-endian), message, CRC-16/XMODEM. Other lines are ignored, so log
 * text may stand between frames.
 *
 *     static tyf_smp_console console;
 *
 *     uint32_t bytes = tyf_smp_console_feed(&console, byte);      // 0 until a whole message is there
 *     if (bytes != 0) {
 *         handle(tyf_smp_console_message(&console), bytes);
 *     }
 */
#ifndef TYF_SMP_CONSOLE_H
#define TYF_SMP_CONSOLE_H

#include <stdbool.h>
#include <stdint.h>

#include "tyf/core/config.h"

#define TYF_SMP_LINE_BYTES 128u

/** Largest message: a frame without its length and CRC. */
#define TYF_SMP_MESSAGE_BYTES (TYF_CFG_SMP_FRAME_BYTES - 4u)

/** A receiver. Zero is a valid start. Private fields but bad_frames. */
typedef struct {
    uint8_t line[TYF_SMP_LINE_BYTES];
    uint8_t frame[TYF_CFG_SMP_FRAME_BYTES];
    uint32_t line_bytes;  /**< more than TYF_SMP_LINE_BYTES: the line is too long and is dropped whole */
    uint32_t frame_bytes;
    uint32_t bad_frames;  /**< frames dropped: bad base64, length or CRC, or too large */
    bool is_in_frame;
} tyf_smp_console;

/**
 * Take one received byte.
 *
 * @return size of a complete message, valid until the next call; 0 when there is none yet
 */
uint32_t tyf_smp_console_feed(tyf_smp_console *console, uint8_t byte);

/** The message that tyf_smp_console_feed() announced. */
const uint8_t *tyf_smp_console_message(const tyf_smp_console *console);

/**
 * Send one message, line by line.
 *
 * @param message  1 .. TYF_SMP_MESSAGE_BYTES bytes
 * @param write    takes the bytes of one line
 */
void tyf_smp_console_send(const uint8_t *message, uint32_t bytes, void (*write)(const uint8_t *data, uint32_t bytes));

#endif
