/* A CMSDK APB UART that only sends, and waits for each byte: a test build's trace. */

#include "tyf/port/witness.h"

#include "tyf/core/config.h"

#if TYF_CFG_WITNESS

#include "cmsdk_uart.h"

#define BASE TYF_BOARD_WITNESS_BASE

void tyf_port_witness_write(const uint8_t *data, uint32_t bytes) {
    CMSDK_BAUD_DIVIDER(BASE) = TYF_BOARD_CLOCK_HZ / TYF_BOARD_WITNESS_BAUD;
    CMSDK_CTRL(BASE) = CMSDK_CTRL_TX;
    for (uint32_t i = 0; i < bytes; i++) {
        while (CMSDK_STATE(BASE) & CMSDK_TX_FULL) {
        }
        CMSDK_DATA(BASE) = data[i];
    }
}

#endif
