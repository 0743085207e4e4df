/* SMP group 0 (os). */
#include <stddef.h>
#include <string.h>

#include "management.h"
#include "tyf/boot/slots.h"
#include "tyf/core/divide.h"
#include "tyf/port/live.h"
#include "tyf/port/system.h"
#include "tyf/port/time.h"
#include "tyf/settings/settings.h"

#define STACK_WORD_BYTES 4u
#define US_PER_MS 1000u
#define US_PER_S 1000000u

static int echo(tyf_smp_exchange *exchange) {
    const tyf_echo_request *request = exchange->request;
    tyf_cbor_add_text_n(&exchange->reply, "r", request->d.data, request->d.bytes);
    return TYF_SMP_OK;
}

typedef struct {
    const char *name;
    uint32_t priority, id, stack_used_bytes, stack_bytes, switches;
    uint64_t runtime_us;
} task;

/* Its fields are those of the protocol; what these tasks lack is 0. */
static void add_task(tyf_cbor_writer *reply, const task *t) {
    tyf_cbor_add_map(reply, t->name);
    tyf_cbor_add_uint(reply, "prio", t->priority);
    tyf_cbor_add_uint(reply, "tid", t->id);
    tyf_cbor_add_uint(reply, "state", 0);
    tyf_cbor_add_uint(reply, "stkuse", t->stack_used_bytes / STACK_WORD_BYTES);
    tyf_cbor_add_uint(reply, "stksiz", t->stack_bytes / STACK_WORD_BYTES);
    tyf_cbor_add_uint(reply, "cswcnt", t->switches);
    tyf_cbor_add_uint(reply, "runtime", tyf_divide_u64(t->runtime_us, US_PER_MS));
    tyf_cbor_add_uint(reply, "last_checkin", 0);
    tyf_cbor_add_uint(reply, "next_checkin", 0);
    tyf_cbor_end(reply);
}

/* The main loop, and live inference where it runs above it. */
static int task_statistics(tyf_smp_exchange *exchange) {
    tyf_cbor_writer *reply = &exchange->reply;
    tyf_live_load load;
    tyf_port_live_load(&load);
    tyf_cbor_add_map(reply, "tasks");
    add_task(reply, &(task){.name = "main",
                            .priority = 1,
                            .id = 0,
                            .stack_used_bytes = tyf_port_stack_used_bytes(),
                            .stack_bytes = tyf_port_stack_bytes(),
                            .runtime_us = tyf_port_uptime_us() - load.busy_us});
    if (load.stack_bytes != 0) {
        add_task(reply, &(task){.name = "live",
                                .id = 1,
                                .stack_used_bytes = load.stack_used_bytes,
                                .stack_bytes = load.stack_bytes,
                                .switches = load.works,
                                .runtime_us = load.busy_us});
    }
    tyf_cbor_end(reply);
    return TYF_SMP_OK;
}

static int memory_pools(tyf_smp_exchange *exchange) {
    tyf_cbor_writer *reply = &exchange->reply;
    for (uint32_t i = 0; i < tyf_management_application.pool_count; i++) {
        tyf_management_pool pool;
        tyf_management_application.pool(i, &pool);
        tyf_cbor_add_map(reply, pool.name);
        tyf_cbor_add_uint(reply, "blksiz", pool.block_bytes);
        tyf_cbor_add_uint(reply, "nblks", pool.blocks);
        tyf_cbor_add_uint(reply, "nfree", pool.free_blocks);
        tyf_cbor_add_uint(reply, "min", pool.fewest_free);
        tyf_cbor_end(reply);
    }
    return TYF_SMP_OK;
}

/* Date and time: boards have no clock of their own, so this one is set by a host and goes on with the uptime. */

#define DAYS_PER_ERA 146097u /* 400 years, which begin with March */
#define DAYS_TO_1970 719468u /* from 0000-03-01 */
#define FIRST_YEAR 1970u
#define LAST_YEAR 2105u /* the last whole one that 32 bits of seconds reach */
#define SECONDS_PER_DAY 86400u

/* Seconds since 1970 when the board started, modulo 2^32; 0: not set. */
static uint32_t started_at_s;

static uint32_t uptime_s(void) {
    return (uint32_t)tyf_divide_u64(tyf_port_uptime_us(), US_PER_S);
}

static uint32_t days_of(uint32_t year, uint32_t month, uint32_t day) {
    const uint32_t y = month <= 2u ? year - 1u : year;
    const uint32_t year_of_era = y % 400u;
    const uint32_t day_of_year = (153u * (month > 2u ? month - 3u : month + 9u) + 2u) / 5u + day - 1u;
    return y / 400u * DAYS_PER_ERA + year_of_era * 365u + year_of_era / 4u - year_of_era / 100u + day_of_year -
           DAYS_TO_1970;
}

/* Decimal digits with leading zeros. */
static char *put_digits(char *to, uint32_t value, uint32_t digits, char after) {
    for (uint32_t i = digits; i > 0; i--) {
        to[i - 1u] = (char)('0' + value % 10u);
        value /= 10u;
    }
    to[digits] = after;
    return to + digits + 1;
}

static int datetime_read(tyf_smp_exchange *exchange) {
    if (started_at_s == 0) {
        return -TYF_OS_ERR_RTC_NOT_SET;
    }
    const uint32_t now_s = started_at_s + uptime_s();
    const uint32_t days = now_s / SECONDS_PER_DAY;
    const uint32_t second = now_s % SECONDS_PER_DAY;
    uint32_t year = FIRST_YEAR;
    while (days_of(year + 1u, 1, 1) <= days) { /* at most 136 turns */
        year++;
    }
    uint32_t month = 1;
    while (month < 12u && days_of(year, month + 1u, 1) <= days) {
        month++;
    }
    char text[20];
    char *to = put_digits(text, year, 4, '-');
    to = put_digits(to, month, 2, '-');
    to = put_digits(to, days - days_of(year, month, 1) + 1u, 2, 'T');
    to = put_digits(to, second / 3600u, 2, ':');
    to = put_digits(to, second / 60u % 60u, 2, ':');
    to = put_digits(to, second % 60u, 2, '\0');
    tyf_cbor_add_text_n(&exchange->reply, "datetime", text, (uint32_t)(to - text) - 1u);
    return TYF_SMP_OK;
}

static int datetime_write(tyf_smp_exchange *exchange) {
    static const struct {
        uint8_t at, digits;
        uint16_t low, high;
    } parts[6] = {
        {0, 4, FIRST_YEAR, LAST_YEAR}, {5, 2, 1, 12}, {8, 2, 1, 31}, {11, 2, 0, 23}, {14, 2, 0, 59}, {17, 2, 0, 59}};
    static const char pattern[] = "....-..-..T..:..:..";
    const tyf_datetime_write_request *request = exchange->request;
    const uint8_t *text = request->datetime.data;
    uint32_t values[6];
    for (uint32_t i = 0; i < sizeof pattern - 1u; i++) {
        if (pattern[i] != '.' && text[i] != (uint8_t)pattern[i]) {
            return -TYF_OS_ERR_INVALID_FORMAT;
        }
    }
    for (uint32_t i = 0; i < 6u; i++) {
        values[i] = 0;
        for (uint32_t d = 0; d < parts[i].digits; d++) {
            const uint32_t digit = (uint32_t)text[parts[i].at + d] - '0';
            if (digit > 9u) {
                return -TYF_OS_ERR_INVALID_FORMAT;
            }
            values[i] = values[i] * 10u + digit;
        }
        if (values[i] < parts[i].low || values[i] > parts[i].high) {
            return -TYF_OS_ERR_INVALID_FORMAT;
        }
    }
    const uint32_t day = days_of(values[0], values[1], values[2]);
    const uint32_t next_month =
        values[1] == 12u ? days_of(values[0] + 1u, 1, 1) : days_of(values[0], values[1] + 1u, 1);
    if (day >= next_month) {
        return -TYF_OS_ERR_INVALID_FORMAT;
    }
    started_at_s = day * SECONDS_PER_DAY + values[3] * 3600u + values[4] * 60u + values[5] - uptime_s();
    return TYF_SMP_OK;
}

void tyf_management_start(void) {
    started_at_s = 0;
    tyf_management_forget_upload();
#ifdef TYF_BOARD_AREA_SETTINGS_0_BYTES
    (void)tyf_settings_start(); /* what it says it says of every call */
#endif
}

int tyf_management_nothing(tyf_smp_exchange *exchange) {
    (void)exchange;
    return TYF_SMP_OK;
}

#define MODE_DIRECT_XIP_WITH_REVERT 5u

static int bootloader_info(tyf_smp_exchange *exchange) {
    const tyf_bootloader_info_request *request = exchange->request;
    static const char mode[] = "mode";
    if (tyf_boot_active() == TYF_BOOT_NO_SLOT) {
        return -TYF_OS_ERR_QUERY_YIELDS_NO_ANSWER;
    }
    if (request->query.data == NULL) {
        tyf_cbor_add_text(&exchange->reply, "bootloader", "MCUboot");
        return TYF_SMP_OK;
    }
    if (request->query.bytes != sizeof mode - 1u || memcmp(request->query.data, mode, sizeof mode - 1u) != 0) {
        return -TYF_OS_ERR_QUERY_YIELDS_NO_ANSWER;
    }
    tyf_cbor_add_uint(&exchange->reply, "mode", MODE_DIRECT_XIP_WITH_REVERT);
    return TYF_SMP_OK;
}

static int params(tyf_smp_exchange *exchange) {
    tyf_cbor_add_uint(&exchange->reply, "buf_size", TYF_CFG_SMP_FRAME_BYTES);
    tyf_cbor_add_uint(&exchange->reply, "buf_count", TYF_SMP_FRAMES_AT_ONCE);
    return TYF_SMP_OK;
}

static int application_info(tyf_smp_exchange *exchange) {
    tyf_cbor_add_text(&exchange->reply, "output", tyf_smp_application);
    return TYF_SMP_OK;
}

const tyf_smp_command tyf_management_os_commands[TYF_MANAGEMENT_OS_COMMANDS] = {
    {TYF_MESSAGE_ECHO, .handler = echo},
    {TYF_MESSAGE_TASK_STATISTICS, .handler = task_statistics},
    {TYF_MESSAGE_MEMORY_POOLS, .handler = memory_pools},
    {TYF_MESSAGE_DATETIME_READ, .handler = datetime_read},
    {TYF_MESSAGE_DATETIME_WRITE, .handler = datetime_write},
    {TYF_MESSAGE_RESET, .handler = tyf_management_nothing, .after = tyf_port_reset},
    {TYF_MESSAGE_PARAMS, .handler = params},
    {TYF_MESSAGE_APPLICATION_INFO, .handler = application_info},
    {TYF_MESSAGE_BOOTLOADER_INFO, .handler = bootloader_info},
};
