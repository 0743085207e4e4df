#include "tyf/smp/os_group.h"

#include "tyf/port/system.h"
#include "tyf/port/time.h"

enum {
    COMMAND_ECHO = 0,
    COMMAND_TASK_STATISTICS = 2,
    COMMAND_RESET = 5,
    COMMAND_PARAMETERS = 6,
    COMMAND_APPLICATION_INFO = 7,
};

#define STACK_WORD_BYTES 4u
#define US_PER_MS 1000u

static int echo(tyf_smp_exchange *exchange) {
    tyf_cbor_string text;
    if (tyf_cbor_find_text(&exchange->request, "d", &text) != TYF_OK) {
        return TYF_SMP_EINVAL;
    }
    tyf_cbor_add_text_n(&exchange->reply, "r", text.data, text.bytes);
    return TYF_SMP_OK;
}

/* One task: the main loop. Its fields are those of the protocol; what a single loop lacks is 0. */
static int task_statistics(tyf_smp_exchange *exchange) {
    tyf_cbor_writer *reply = &exchange->reply;
    tyf_cbor_add_map(reply, "tasks");
    tyf_cbor_add_map(reply, "main");
    tyf_cbor_add_uint(reply, "prio", 0);
    tyf_cbor_add_uint(reply, "tid", 0);
    tyf_cbor_add_uint(reply, "state", 0);
    tyf_cbor_add_uint(reply, "stkuse", tyf_port_stack_used_bytes() / STACK_WORD_BYTES);
    tyf_cbor_add_uint(reply, "stksiz", tyf_port_stack_bytes() / STACK_WORD_BYTES);
    tyf_cbor_add_uint(reply, "cswcnt", 0);
    tyf_cbor_add_uint(reply, "runtime", tyf_port_uptime_us() / US_PER_MS);
    tyf_cbor_add_uint(reply, "last_checkin", 0);
    tyf_cbor_add_uint(reply, "next_checkin", 0);
    tyf_cbor_end(reply);
    tyf_cbor_end(reply);
    return TYF_SMP_OK;
}

static int reset(tyf_smp_exchange *exchange) {
    (void)exchange; /* the reply is empty; the reset follows it */
    return TYF_SMP_OK;
}

static int parameters(tyf_smp_exchange *exchange) {
    tyf_cbor_add_uint(&exchange->reply, "buf_size", TYF_CFG_SMP_FRAME_BYTES);
    tyf_cbor_add_uint(&exchange->reply, "buf_count", 1);
    return TYF_SMP_OK;
}

static int application_info(tyf_smp_exchange *exchange) {
    tyf_cbor_add_text(&exchange->reply, "output", tyf_smp_application);
    return TYF_SMP_OK;
}

const tyf_smp_command tyf_smp_os_commands[TYF_SMP_OS_COMMAND_COUNT] = {
    {.id = COMMAND_ECHO, .on_read = echo, .on_write = echo},
    {.id = COMMAND_TASK_STATISTICS, .on_read = task_statistics},
    {.id = COMMAND_RESET, .on_write = reset, .after_write = tyf_port_reset},
    {.id = COMMAND_PARAMETERS, .on_read = parameters},
    {.id = COMMAND_APPLICATION_INFO, .on_read = application_info},
};
