/**
 * An Arm CMSDK APB UART, which holds one byte each way; base is TYF_BOARD_UART_BASE or another of them.
 *
 *     cmsdk_uart_start(TYF_BOARD_UART_BASE, TYF_BOARD_UART_BAUD);
 */
#ifndef TYF_BOARDS_MPS2_CMSDK_UART_H
#define TYF_BOARDS_MPS2_CMSDK_UART_H

#include <stdint.h>

#include "cortex_m.h"
#include "ring.h"

#define CMSDK_DATA(base) TYF_REGISTER((base) + 0x00u)
#define CMSDK_STATE(base) TYF_REGISTER((base) + 0x04u)
#define CMSDK_CTRL(base) TYF_REGISTER((base) + 0x08u)
#define CMSDK_INTERRUPTS(base) TYF_REGISTER((base) + 0x0cu)
#define CMSDK_BAUD_DIVIDER(base) TYF_REGISTER((base) + 0x10u)

#define CMSDK_TX_FULL 1u
#define CMSDK_RX_FULL 2u
#define CMSDK_CTRL_TX 1u
#define CMSDK_CTRL_RX 2u
#define CMSDK_CTRL_TX_INTERRUPT 4u
#define CMSDK_CTRL_RX_INTERRUPT 8u
#define CMSDK_INTERRUPT_TX 1u
#define CMSDK_INTERRUPT_RX 2u

static inline void cmsdk_uart_start(uint32_t base, uint32_t baud) {
    CMSDK_BAUD_DIVIDER(base) = TYF_BOARD_CLOCK_HZ / baud;
    CMSDK_CTRL(base) = CMSDK_CTRL_TX | CMSDK_CTRL_RX | CMSDK_CTRL_RX_INTERRUPT;
    (void)CMSDK_DATA(
        base); /* what an emulator took while it was off comes with a read, or else not before more is sent */
}

/**
 * Move what has arrived into the ring. With the ring full the byte stays in the UART, which holds the host back where
 * the link can (QEMU), and the interrupt stays off until there is room. Interrupts masked or in the handler.
 */
static inline void cmsdk_uart_receive(uint32_t base, const tyf_uart_ring *ring) {
    CMSDK_INTERRUPTS(base) = CMSDK_INTERRUPT_RX; /* before draining: a byte that arrives in between raises it again */
    do {
        while (CMSDK_STATE(base) & CMSDK_RX_FULL) {
            if (tyf_uart_ring_is_full(ring)) {
                CMSDK_CTRL(base) = CMSDK_CTRL(base) & ~CMSDK_CTRL_RX_INTERRUPT;
                return;
            }
            tyf_uart_ring_put(ring, (uint8_t)CMSDK_DATA(base));
        }
        CMSDK_CTRL(base) = CMSDK_CTRL(base) | CMSDK_CTRL_RX_INTERRUPT;
    } while (CMSDK_STATE(base) & CMSDK_RX_FULL); /* a byte that came while the interrupt was off raises none */
}

#endif
