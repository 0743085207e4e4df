/* nRF5 UART, on nRF52 the one without DMA: received bytes go by interrupt into a ring; sending waits without burning
 * board time. */

#include <stdbool.h>
#include <stdint.h>

#include "cortex_m.h"
#include "nrf5.h"
#include "ring.h"
#include "tyf/port/system.h"
#include "tyf/port/uart.h"

#define TASK_START_RX TYF_REGISTER(TYF_BOARD_UART_BASE + 0x000u)
#define TASK_START_TX TYF_REGISTER(TYF_BOARD_UART_BASE + 0x008u)
#define EVENT_RX TYF_REGISTER(TYF_BOARD_UART_BASE + 0x108u)
#define EVENT_TX TYF_REGISTER(TYF_BOARD_UART_BASE + 0x11cu)
#define INTERRUPTS_ON TYF_REGISTER(TYF_BOARD_UART_BASE + 0x304u)
#define INTERRUPTS_OFF TYF_REGISTER(TYF_BOARD_UART_BASE + 0x308u)
#define ENABLE TYF_REGISTER(TYF_BOARD_UART_BASE + 0x500u)
#define TX_PIN TYF_REGISTER(TYF_BOARD_UART_BASE + 0x50cu)
#define RX_PIN TYF_REGISTER(TYF_BOARD_UART_BASE + 0x514u)
#define RX_DATA TYF_REGISTER(TYF_BOARD_UART_BASE + 0x518u)
#define TX_DATA TYF_REGISTER(TYF_BOARD_UART_BASE + 0x51cu)
#define BAUD_RATE TYF_REGISTER(TYF_BOARD_UART_BASE + 0x524u)

#define PIN_OUT_SET TYF_REGISTER(TYF_BOARD_GPIO_BASE + 0x508u)                  /* GPIO OUTSET */
#define PIN_CONFIG(pin) TYF_REGISTER(TYF_BOARD_GPIO_BASE + 0x700u + 4u * (pin)) /* GPIO PIN_CNF[n] */

#define PIN_OUTPUT 3u           /* DIR output, INPUT disconnected */
#define PIN_INPUT_PULLED_UP 12u /* DIR input, INPUT connected, PULL up */
#define ENABLED 4u
#define INTERRUPT_RX (1u << 2)
#define INTERRUPT_TX (1u << 7)
#define BAUD_115200 0x01d7e000u

_Static_assert(TYF_BOARD_UART_BAUD == 115200, "the only rate with its constant here");

static bool is_sending;

/* Move what has arrived into the ring. With the ring full, bytes stay in the UART, and the interrupt stays off until
 * there is room. Interrupts masked or in the handler. */
void tyf_board_uart_receive(void) {
    while (EVENT_RX) {
        if (tyf_uart_ring_is_full(&tyf_uart_console)) {
            INTERRUPTS_OFF = INTERRUPT_RX;
            return;
        }
        EVENT_RX = 0; /* before reading, which raises it again when more bytes wait */
        tyf_uart_ring_put(&tyf_uart_console, (uint8_t)RX_DATA);
    }
    INTERRUPTS_ON = INTERRUPT_RX;
}

void tyf_nrf5_uart_interrupt(void) {
    INTERRUPTS_OFF = INTERRUPT_TX; /* its only purpose is to end the sleep in wait_until_sent() */
    tyf_board_uart_receive();
}

void tyf_nrf5_uart_start(void) {
    tyf_uart_ring_clear(&tyf_uart_console);
    is_sending = false;
    /* The line rests at 1 from the start, also while the UART is off; an open input reads as rest. */
    PIN_OUT_SET = 1u << TYF_BOARD_UART_TX_PIN;
    PIN_CONFIG(TYF_BOARD_UART_TX_PIN) = PIN_OUTPUT;
    PIN_CONFIG(TYF_BOARD_UART_RX_PIN) = PIN_INPUT_PULLED_UP;
    TX_PIN = TYF_BOARD_UART_TX_PIN;
    RX_PIN = TYF_BOARD_UART_RX_PIN;
    BAUD_RATE = BAUD_115200;
    ENABLE = ENABLED;
    EVENT_RX = 0;
    EVENT_TX = 0;
    TASK_START_RX = 1;
    TASK_START_TX = 1;
    INTERRUPTS_ON = INTERRUPT_RX;
    tyf_cortex_m_enable_irq(TYF_BOARD_UART_IRQ);
}

/* Sleeps: busy waiting would let an emulated board's time run far ahead of the host's. */
static void wait_until_sent(void) {
    uint32_t masked = tyf_cortex_m_mask();
    while (!EVENT_TX) {
        INTERRUPTS_ON = INTERRUPT_TX;
        tyf_port_watchdog_feed();
        tyf_cortex_m_wait();
        tyf_cortex_m_unmask(masked); /* let the interrupt that ended the sleep run */
        masked = tyf_cortex_m_mask();
    }
    INTERRUPTS_OFF = INTERRUPT_TX;
    tyf_cortex_m_unmask(masked);
}

void tyf_port_uart_write(const uint8_t *data, uint32_t bytes) {
    for (uint32_t i = 0; i < bytes; i++) {
        if (is_sending) {
            wait_until_sent();
        }
        EVENT_TX = 0;
        is_sending = true;
        TX_DATA = data[i];
    }
}
