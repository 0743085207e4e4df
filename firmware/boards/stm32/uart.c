/* STM32 USART, without DMA: received bytes go by interrupt into a ring; sending sleeps while the UART is busy. */

#include <stdint.h>

#include "chip.h"
#include "cortex_m.h"
#include "ring.h"
#include "stm32.h"
#include "tyf/port/system.h"
#include "tyf/port/uart.h"

/* USART_CR1; where its ENABLE (UE) lies, chip.h says. */
#define CONTROL_RECEIVE (1u << 2)      /* RE */
#define CONTROL_SEND (1u << 3)         /* TE */
#define CONTROL_RX_INTERRUPT (1u << 5) /* RXNEIE */
#define CONTROL_TX_INTERRUPT (1u << 7) /* TXEIE */

#define STATUS_OVERRUN (1u << 3) /* ORE: a byte came while the one before was not read, and is lost */
#define STATUS_RX (1u << 5)      /* RXNE */
#define STATUS_TX_FREE (1u << 7) /* TXE */

#define PIN_MODE TYF_REGISTER(TYF_BOARD_GPIO_BASE + 0x00u)                            /* GPIOx_MODER */
#define PIN_PULL TYF_REGISTER(TYF_BOARD_GPIO_BASE + 0x0cu)                            /* GPIOx_PUPDR */
#define PIN_FUNCTION(pin) TYF_REGISTER(TYF_BOARD_GPIO_BASE + 0x20u + (pin) / 8u * 4u) /* GPIOx_AFRL, GPIOx_AFRH */
#define PIN_MODE_FUNCTION 2u
#define PIN_PULL_UP 1u

static void give_pin_to_uart(uint32_t pin) {
    uint32_t nibble = 4u * (pin % 8u);
    PIN_FUNCTION(pin) = (PIN_FUNCTION(pin) & ~(15u << nibble)) | TYF_BOARD_UART_PIN_FUNCTION << nibble;
    PIN_PULL = (PIN_PULL & ~(3u << 2u * pin)) | PIN_PULL_UP << 2u * pin;
    PIN_MODE = (PIN_MODE & ~(3u << 2u * pin)) | PIN_MODE_FUNCTION << 2u * pin;
}

/* With the ring full the interrupt stays off until there is room; what comes meanwhile is lost, and the host repeats.
 */
void tyf_board_uart_receive(void) {
    uint32_t status;
    while ((status = UART_STATUS) & (STATUS_RX | STATUS_OVERRUN)) {
        if (tyf_uart_ring_is_full(&tyf_uart_console)) {
            UART_CONTROL = UART_CONTROL & ~CONTROL_RX_INTERRUPT;
            return;
        }
        uint8_t byte = (uint8_t)UART_RX_DATA;
        tyf_stm32_clear_overrun();
        if (status & STATUS_RX) {
            tyf_uart_ring_put(&tyf_uart_console, byte);
        }
    }
    UART_CONTROL = UART_CONTROL | CONTROL_RX_INTERRUPT;
}

void tyf_stm32_uart_interrupt(void) {
    UART_CONTROL = UART_CONTROL & ~CONTROL_TX_INTERRUPT; /* its only purpose is to end the sleep in wait_for_room() */
    tyf_board_uart_receive();
}

void tyf_stm32_uart_start(void) {
    tyf_uart_ring_clear(&tyf_uart_console);
    give_pin_to_uart(TYF_BOARD_UART_TX_PIN);
    give_pin_to_uart(TYF_BOARD_UART_RX_PIN);
    UART_BAUD_DIVIDER = (TYF_BOARD_UART_CLOCK_HZ + TYF_BOARD_UART_BAUD / 2u) / TYF_BOARD_UART_BAUD;
    UART_CONTROL = UART_CONTROL_ENABLE | CONTROL_RECEIVE | CONTROL_SEND | CONTROL_RX_INTERRUPT;
    tyf_cortex_m_enable_irq(TYF_BOARD_UART_IRQ);
}

static void wait_for_room(void) {
    uint32_t masked = tyf_cortex_m_mask();
    while (!(UART_STATUS & STATUS_TX_FREE)) {
        UART_CONTROL = UART_CONTROL | CONTROL_TX_INTERRUPT;
        tyf_port_watchdog_feed();
        tyf_cortex_m_wait();
        tyf_cortex_m_unmask(masked); /* let the interrupt that ended the sleep run */
        masked = tyf_cortex_m_mask();
    }
    UART_CONTROL = UART_CONTROL & ~CONTROL_TX_INTERRUPT;
    tyf_cortex_m_unmask(masked);
}

void tyf_port_uart_write(const uint8_t *data, uint32_t bytes) {
    for (uint32_t i = 0; i < bytes; i++) {
        if (!(UART_STATUS & STATUS_TX_FREE)) {
            wait_for_room();
        }
        UART_TX_DATA = data[i];
    }
}
