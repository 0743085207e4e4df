/* A CMSDK APB UART that only sends, and waits for each byte: a test build's trace. */

#include "tyf/port/witness.h"

#include "tyf/core/config.h"

#if TYF_CFG_WITNESS

#include "cortex_m.h"

#define DATA TYF_REGISTER(TYF_BOARD_WITNESS_BASE + 0x00u)
#define STATE TYF_REGISTER(TYF_BOARD_WITNESS_BASE + 0x04u)
#define CTRL TYF_REGISTER(TYF_BOARD_WITNESS_BASE + 0x08u)
#define BAUD_DIVIDER TYF_REGISTER(TYF_BOARD_WITNESS_BASE + 0x10u)

#define STATE_TX_FULL 1u
#define CTRL_TX 1u

void tyf_port_witness_write(const uint8_t *data, uint32_t bytes) {
    BAUD_DIVIDER = TYF_BOARD_CLOCK_HZ / TYF_BOARD_WITNESS_BAUD;
    CTRL = CTRL_TX;
    for (uint32_t i = 0; i < bytes; i++) {
        while (STATE & STATE_TX_FULL) {
        }
        DATA = data[i];
    }
}

#endif
