#include "tyf/smp/console.h"

#include "tyf/core/bytes.h"
#include "tyf/core/crc.h"

#define START_1 0x06u
#define START_2 0x09u
#define CONTINUE_1 0x04u
#define CONTINUE_2 0x14u

#define LENGTH_BYTES 2u
#define CRC_BYTES 2u
/* 2 start bytes, 31 groups of base64, line feed: 127 bytes, what every MCUmgr console accepts. */
#define LINE_PAYLOAD_BYTES 93u
#define LINE_BYTES (2u + LINE_PAYLOAD_BYTES / 3u * 4u + 1u)

enum {
    STATE_OUTSIDE, /* no frame: other text passes */
    STATE_LINE,    /* within the base64 of a line */
    STATE_BETWEEN, /* frame incomplete, its next line has not begun: other text passes */
};

#define NOT_A_DIGIT 64u

static uint32_t base64_value(uint8_t digit) {
    if (digit >= 'A' && digit <= 'Z') {
        return (uint32_t)(digit - 'A');
    }
    if (digit >= 'a' && digit <= 'z') {
        return 26u + (uint32_t)(digit - 'a');
    }
    if (digit >= '0' && digit <= '9') {
        return 52u + (uint32_t)(digit - '0');
    }
    return digit == '+' ? 62u : digit == '/' ? 63u : NOT_A_DIGIT;
}

static char base64_digit(uint32_t value) {
    return "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[value & 63u];
}

void tyf_smp_console_init(tyf_smp_console *console) {
    *console = (tyf_smp_console){.state = STATE_OUTSIDE};
}

static void drop(tyf_smp_console *console) {
    console->bad_frames++;
    console->state = STATE_OUTSIDE;
}

static void begin_line(tyf_smp_console *console) {
    console->group = 0;
    console->group_digits = 0;
    console->group_padding = 0;
    console->state = STATE_LINE;
}

/* Append the bytes of a whole group of 4 digits; false when the group or the frame is wrong. */
static bool take_group(tyf_smp_console *console) {
    uint32_t count = 3u - console->group_padding;
    if (console->group_padding > 2 || (console->group & ((1u << 8u * console->group_padding) - 1u)) != 0) {
        return false; /* bits that padding hides must be 0: else two texts would mean one frame */
    }
    if (console->frame_bytes + count > sizeof console->frame) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        console->frame[console->frame_bytes++] = (uint8_t)(console->group >> (16u - 8u * i));
    }
    console->is_padded = console->group_padding > 0;
    console->group = 0;
    console->group_digits = 0;
    return true;
}

/* Add one base64 character; false when it cannot stand here. */
static bool take_digit(tyf_smp_console *console, uint8_t byte) {
    uint32_t value = base64_value(byte);
    if (console->is_padded) {
        return false;
    }
    if (byte == '=') {
        console->group_padding++;
        value = 0;
    } else if (value == NOT_A_DIGIT || console->group_padding > 0) {
        return false;
    }
    console->group = console->group << 6 | value;
    console->group_digits++;
    return console->group_digits < 4 || take_group(console);
}

/* A line is over: is the frame? */
static bool end_line(tyf_smp_console *console) {
    if (console->group_digits != 0 || console->frame_bytes < LENGTH_BYTES) {
        drop(console);
        return false;
    }
    uint32_t wanted = LENGTH_BYTES + tyf_get_u16_be(console->frame);
    if (console->frame_bytes < wanted && wanted <= sizeof console->frame && !console->is_padded) {
        console->state = STATE_BETWEEN;
        return false;
    }
    /* CRC over message and its CRC is 0 when both are intact. */
    if (console->frame_bytes != wanted || wanted <= LENGTH_BYTES + CRC_BYTES ||
        tyf_crc16_xmodem(0, console->frame + LENGTH_BYTES, wanted - LENGTH_BYTES) != 0) {
        drop(console);
        return false;
    }
    console->message_bytes = wanted - LENGTH_BYTES - CRC_BYTES;
    console->state = STATE_OUTSIDE;
    return true;
}

bool tyf_smp_console_receive(tyf_smp_console *console, uint8_t byte) {
    uint8_t last_byte = console->last_byte;
    console->last_byte = byte;
    if (last_byte == START_1 && byte == START_2) {
        if (console->state != STATE_OUTSIDE) {
            drop(console); /* the rest of the frame before never came */
        }
        console->frame_bytes = 0;
        console->is_padded = false;
        begin_line(console);
        return false;
    }
    if (last_byte == CONTINUE_1 && byte == CONTINUE_2) {
        if (console->state == STATE_BETWEEN) {
            begin_line(console);
        }
        return false;
    }
    if (console->state != STATE_LINE || byte == '\r') {
        return false;
    }
    if (byte == '\n') {
        return end_line(console);
    }
    if (!take_digit(console, byte)) {
        drop(console);
    }
    return false;
}

const uint8_t *tyf_smp_console_message(const tyf_smp_console *console) {
    return console->frame + LENGTH_BYTES;
}

/* Byte i of the frame around message, without building it. */
static uint32_t frame_byte(const uint8_t *message, uint32_t message_bytes, uint16_t crc, uint32_t i) {
    uint32_t length = message_bytes + CRC_BYTES;
    if (i < LENGTH_BYTES) {
        return (i == 0 ? length >> 8 : length) & 0xffu;
    }
    i -= LENGTH_BYTES;
    if (i < message_bytes) {
        return message[i];
    }
    return (i == message_bytes ? (uint32_t)crc >> 8 : crc) & 0xffu;
}

void tyf_smp_console_send(const uint8_t *message, uint32_t message_bytes, tyf_smp_transmit transmit, void *context) {
    const uint16_t crc = tyf_crc16_xmodem(0, message, message_bytes);
    const uint32_t total = message_bytes + TYF_SMP_FRAME_OVERHEAD_BYTES;
    uint32_t done = 0;
    while (done < total) {
        uint8_t line[LINE_BYTES];
        uint32_t length = 0;
        line[length++] = done == 0 ? START_1 : CONTINUE_1;
        line[length++] = done == 0 ? START_2 : CONTINUE_2;
        uint32_t line_end = done + LINE_PAYLOAD_BYTES < total ? done + LINE_PAYLOAD_BYTES : total;
        while (done < line_end) {
            uint32_t group = 0;
            uint32_t count = line_end - done < 3u ? line_end - done : 3u;
            for (uint32_t i = 0; i < 3u; i++) {
                group = group << 8 | (i < count ? frame_byte(message, message_bytes, crc, done + i) : 0);
            }
            line[length++] = (uint8_t)base64_digit(group >> 18);
            line[length++] = (uint8_t)base64_digit(group >> 12);
            line[length++] = count > 1 ? (uint8_t)base64_digit(group >> 6) : '=';
            line[length++] = count > 2 ? (uint8_t)base64_digit(group) : '=';
            done += count;
        }
        line[length++] = '\n';
        transmit(context, line, length);
    }
}
