/*
 * The nRF5 flash driver and what lies on it, on a core that has such a controller: each letter from the UART is a
 * check, and its answer a line of name=value words.
 */
#include <stdbool.h>
#include <string.h>

#include "cortex_m.h"
#include "tyf/flash_map/flash_map.h"
#include "tyf/port/system.h"
#include "tyf/port/uart.h"
#include "tyf/settings/settings.h"

#define PAGE TYF_FLASH_PAGE_BYTES

static void say(const char *name, int value) {
    char text[48];
    uint32_t count = (uint32_t)strlen(name);
    memcpy(text, name, count);
    text[count++] = '=';
    if (value < 0) {
        text[count++] = '-';
        value = -value;
    }
    char digits[12];
    uint32_t length = 0;
    do {
        digits[length++] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    while (length > 0) {
        text[count++] = digits[--length];
    }
    text[count++] = ' ';
    tyf_port_uart_write((const uint8_t *)text, count);
}

/* How many bytes of [from, to) of the area are not value. */
static int others(uint32_t from, uint32_t to, uint8_t value) {
    int count = 0;
    for (uint32_t i = from; i < to; i++) {
        count += tyf_area_data(TYF_AREA_MODEL_0)[i] != value;
    }
    return count;
}

static void fill(uint32_t offset, uint8_t value) {
    uint8_t bytes[64];
    memset(bytes, value, sizeof bytes);
    for (uint32_t i = 0; i < PAGE; i += sizeof bytes) {
        if (tyf_area_program(TYF_AREA_MODEL_0, offset + i, bytes, sizeof bytes) != TYF_OK) {
            say("fill", -1);
        }
    }
}

static void check_rules(void) {
    static const uint8_t data[] = {1, 2, 3, 4, 0xf0, 6, 7};
    for (uint32_t page = 0; page < 3; page++) {
        say("erase", tyf_area_erase(TYF_AREA_MODEL_0, page * PAGE));
        say("left", others(page * PAGE, (page + 1u) * PAGE, 0xff));
        fill(page * PAGE, (uint8_t)(0x10u + page));
    }
    say("again", tyf_area_erase(TYF_AREA_MODEL_0, PAGE));
    say("before", others(0, PAGE, 0x10));
    say("middle", others(PAGE, 2u * PAGE, 0xff));
    say("behind", others(2u * PAGE, 3u * PAGE, 0x12));
    say("program", tyf_area_program(TYF_AREA_MODEL_0, PAGE + 8u, data, sizeof data));
    say("data", memcmp(tyf_area_data(TYF_AREA_MODEL_0) + PAGE + 8, data, sizeof data));
    say("around", others(PAGE, PAGE + 8u, 0xff) + others(PAGE + 8u + sizeof data, 2u * PAGE, 0xff));
    static const uint8_t over[] = {0xff, 0xff, 0xff, 0xff, 0x0f, 0xff, 0xff, 0xff};
    say("over", tyf_area_program(TYF_AREA_MODEL_0, PAGE + 8u, over, sizeof over));
    say("cell", tyf_area_data(TYF_AREA_MODEL_0)[PAGE + 12u]); /* 0xf0, or 0xf0 & 0x0f */
    say("unaligned", tyf_area_program(TYF_AREA_MODEL_0, 2, data, 4));
}

/* A store without the driver changes nothing. */
static void store(void) {
    say("erase", tyf_area_erase(TYF_AREA_MODEL_0, 0));
    TYF_REGISTER(tyf_area_address(TYF_AREA_MODEL_0) + 64u) = 0;
}

/* Where the store faults, the next start says what it did. */
static void say_stored(void) {
    say("stored", others(64u, 68u, 0xff));
}

static bool count_one(void *context, const char *key, const uint8_t *value, uint32_t bytes) {
    (void)key;
    (void)value;
    (void)bytes;
    ++*(int *)context;
    return true;
}

/* Many times more than the areas hold, with a start in between. */
static void check_settings(void) {
    int wrong = 0, keys = 0;
    say("start", tyf_settings_start());
    for (uint32_t i = 0; i < 300; i++) {
        const char key[2] = {(char)('a' + i % 5u), 0};
        uint8_t value[30], found[30];
        uint32_t bytes = 0;
        memset(value, (int)i, sizeof value);
        wrong += tyf_settings_set(key, value, sizeof value) != TYF_OK;
        wrong += i % 50u == 0 && tyf_settings_start() != TYF_OK;
        wrong += tyf_settings_get(key, found, sizeof found, &bytes) != TYF_OK || bytes != sizeof value ||
                 memcmp(value, found, bytes) != 0;
        tyf_port_watchdog_feed();
    }
    wrong += tyf_settings_delete("a") != TYF_OK;
    wrong += tyf_settings_start() != TYF_OK;
    (void)tyf_settings_each(count_one, &keys);
    say("wrong", wrong);
    say("keys", keys);
}

int main(void) {
    tyf_port_fault fault;
    tyf_port_start();
    if (tyf_port_last_fault(&fault)) {
        say_stored();
        tyf_port_uart_write((const uint8_t *)"\n", 1);
    }
    for (;;) {
        uint8_t letter;
        if (tyf_port_uart_read(&letter, 1) == 1) {
            if (letter == 'r') {
                check_rules();
            } else if (letter == 'w') {
                store();
                say_stored();
            } else {
                check_settings();
            }
            tyf_port_uart_write((const uint8_t *)"\n", 1);
        } else {
            tyf_port_idle();
        }
        tyf_port_watchdog_feed();
    }
}
