#include "tyf/smp/console.h"

#include "tyf/core/bytes.h"
#include "tyf/core/crc.h"

#define FIRST_0 0x06u
#define FIRST_1 0x09u
#define NEXT_0 0x04u
#define NEXT_1 0x14u

/* Base64 of a line: two marker bytes and a line feed leave room for 31 groups of 4. */
#define GROUPS_PER_LINE ((TYF_SMP_LINE_BYTES - 3u) / 4u)

#define NOT_BASE64 0xFFu

static uint8_t base64_value(uint8_t c)
{
    if (c >= 'A' && c <= 'Z') {
        return (uint8_t)(c - 'A');
    }
    if (c >= 'a' && c <= 'z') {
        return (uint8_t)(c - 'a' + 26);
    }
    if (c >= '0' && c <= '9') {
        return (uint8_t)(c - '0' + 52);
    }
    return c == '+' ? 62u : c == '/' ? 63u : NOT_BASE64;
}

/* Appends the bytes of one group of four characters; false when it is not base64 or does not fit. */
static bool decode_group(tyf_smp_console *console, const uint8_t *group)
{
    uint32_t bytes = 3;
    if (group[3] == '=') {
        bytes = group[2] == '=' ? 1 : 2;
    }
    uint32_t word = 0;
    for (uint32_t i = 0; i < 4u; i++) {
        const uint8_t value = i <= bytes ? base64_value(group[i]) : 0;
        if (value == NOT_BASE64) {
            return false;
        }
        word = word << 6 | value;
    }
    if (bytes > sizeof console->frame - console->frame_bytes) {
        return false;
    }
    for (uint32_t i = 0; i < bytes; i++) {
        console->frame[console->frame_bytes++] = (uint8_t)(word >> (16u - 8u * i));
    }
    return true;
}

static uint32_t drop_frame(tyf_smp_console *console)
{
    console->bad_frames++;
    console->is_in_frame = false;
    return 0;
}

/* The message size when the frame is complete and intact. */
static uint32_t finish_frame(tyf_smp_console *console)
{
    if (console->frame_bytes < 2u) {
        return 0;
    }
    const uint32_t body = tyf_get_u16_be(console->frame); /* message and CRC */
    if (body <= 2u || body > sizeof console->frame - 2u) {
        return drop_frame(console);
    }
    if (console->frame_bytes < body + 2u) {
        return 0;
    }
    /* The checksum over a message and its own CRC is zero. */
    if (console->frame_bytes != body + 2u || tyf_crc16_xmodem(0, console->frame + 2, body) != 0) {
        return drop_frame(console);
    }
    console->is_in_frame = false;
    return body - 2u;
}

static uint32_t finish_line(tyf_smp_console *console)
{
    const uint32_t bytes = console->line_bytes;
    console->line_bytes = 0;
    if (bytes < 2u) {
        return 0;
    }
    const bool is_first = console->line[0] == FIRST_0 && console->line[1] == FIRST_1;
    const bool is_next = console->line[0] == NEXT_0 && console->line[1] == NEXT_1;
    if (!is_first && !is_next) {
        return 0;
    }
    if (is_first) {
        if (console->is_in_frame) {
            console->bad_frames++;
        }
        console->is_in_frame = true;
        console->frame_bytes = 0;
    } else if (!console->is_in_frame) {
        console->bad_frames++;
        return 0;
    }
    if (bytes > sizeof console->line || (bytes - 2u) % 4u != 0) {
        return drop_frame(console);
    }
    for (uint32_t i = 2; i < bytes; i += 4u) {
        if (!decode_group(console, console->line + i)) {
            return drop_frame(console);
        }
    }
    return finish_frame(console);
}

uint32_t tyf_smp_console_feed(tyf_smp_console *console, uint8_t byte)
{
    if (byte == '\n') {
        return finish_line(console);
    }
    if (byte == '\r') {
        return 0;
    }
    if (console->line_bytes < sizeof console->line) {
        console->line[console->line_bytes++] = byte;
    } else {
        console->line_bytes = sizeof console->line + 1u;
    }
    return 0;
}

const uint8_t *tyf_smp_console_message(const tyf_smp_console *console)
{
    return console->frame + 2;
}

/* Byte `position` of the frame around a message. */
static uint8_t frame_byte(const uint8_t *message, uint32_t bytes, uint16_t crc, uint32_t position)
{
    const uint32_t body = bytes + 2u;
    if (position < 2u) {
        return (uint8_t)(position == 0 ? body >> 8 : body);
    }
    if (position < body) {
        return message[position - 2u];
    }
    return (uint8_t)(position == body ? crc >> 8 : crc);
}

void tyf_smp_console_send(const uint8_t *message, uint32_t bytes, void (*write)(const uint8_t *data, uint32_t bytes))
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint16_t crc = tyf_crc16_xmodem(0, message, bytes);
    const uint32_t total = bytes + 4u;
    uint32_t position = 0;
    while (position < total) {
        uint8_t line[TYF_SMP_LINE_BYTES];
        uint32_t used = 2;
        line[0] = position == 0 ? FIRST_0 : NEXT_0;
        line[1] = position == 0 ? FIRST_1 : NEXT_1;
        for (uint32_t group = 0; group < GROUPS_PER_LINE && position < total; group++) {
            const uint32_t left = total - position < 3u ? total - position : 3u;
            uint32_t word = 0;
            for (uint32_t i = 0; i < 3u; i++) {
                word = word << 8 | (i < left ? frame_byte(message, bytes, crc, position + i) : 0u);
            }
            position += left;
            for (uint32_t i = 0; i < 4u; i++) {
                line[used++] = (uint8_t)(i <= left ? digits[word >> (18u - 6u * i) & 63u] : '=');
            }
        }
        line[used++] = '\n';
        write(line, used);
    }
}
