/* SMP group 0 (os). */
#include <string.h>

#include "sensor.h"
#include "tyf/port/system.h"

#ifndef TYF_APP_VERSION
#define TYF_APP_VERSION "dev"
#endif

int32_t tyf_sensor_echo(const tyf_smp_request *request, tyf_cbor_writer *reply)
{
    tyf_cbor_string text;
    if (tyf_cbor_find_text(&request->map, "d", &text) != TYF_OK) {
        return TYF_SMP_INVALID;
    }
    tyf_cbor_add_text_n(reply, "r", text.data, text.bytes);
    return TYF_SMP_OK;
}

int32_t tyf_sensor_task_stats(const tyf_smp_request *request, tyf_cbor_writer *reply)
{
    (void)request;
    tyf_cbor_add_map(reply, "tasks");
    tyf_cbor_add_map(reply, "main");
    tyf_cbor_add_uint(reply, "prio", 0);
    tyf_cbor_add_uint(reply, "tid", 0);
    tyf_cbor_add_uint(reply, "state", 0);
    tyf_cbor_add_uint(reply, "stkuse", tyf_port_stack_used_bytes() / 4u);
    tyf_cbor_add_uint(reply, "stksiz", tyf_port_stack_bytes() / 4u);
    tyf_cbor_add_uint(reply, "cswcnt", 0);
    tyf_cbor_add_uint(reply, "runtime", 0);
    tyf_cbor_add_uint(reply, "last_checkin", 0);
    tyf_cbor_add_uint(reply, "next_checkin", 0);
    tyf_cbor_end(reply);
    tyf_cbor_end(reply);
    return TYF_SMP_OK;
}

int32_t tyf_sensor_reset(const tyf_smp_request *request, tyf_cbor_writer *reply)
{
    (void)request;
    (void)reply;
    tyf_sensor_state.is_reset_wanted = true; /* after the reply has left */
    return TYF_SMP_OK;
}

int32_t tyf_sensor_params(const tyf_smp_request *request, tyf_cbor_writer *reply)
{
    (void)request;
    tyf_cbor_add_uint(reply, "buf_size", TYF_CFG_SMP_FRAME_BYTES);
    tyf_cbor_add_uint(reply, "buf_count", 1);
    return TYF_SMP_OK;
}

int32_t tyf_sensor_app_info(const tyf_smp_request *request, tyf_cbor_writer *reply)
{
    (void)request;
    char text[96];
    const char *const parts[] = {"tinyfleet ", tyf_sensor_state.app, " " TYF_APP_VERSION " ", tyf_port_board()};
    uint32_t used = 0;
    for (uint32_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        for (const char *c = parts[i]; *c != '\0' && used < sizeof text; c++) {
            text[used++] = *c;
        }
    }
    tyf_cbor_add_text_n(reply, "output", text, used);
    return TYF_SMP_OK;
}
