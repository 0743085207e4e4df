#include "ring.h"

#include "cortex_m.h"
#include "hci.h"
#include "tyf/core/config.h"
#include "tyf/port/hci.h"
#include "tyf/port/system.h"
#include "tyf/port/uart.h"

static uint8_t console_memory[TYF_CFG_UART_RX_BYTES];
static tyf_uart_ring_fill console_fill;

const tyf_uart_ring tyf_uart_console = {&console_fill, console_memory, sizeof console_memory};

uint32_t tyf_uart_ring_take_all(const tyf_uart_ring *ring, uint8_t *data, uint32_t capacity) {
    uint32_t count = 0;
    while (count < capacity && !tyf_uart_ring_is_empty(ring)) {
        data[count++] = tyf_uart_ring_take(ring);
    }
    return count;
}

uint32_t tyf_port_uart_read(uint8_t *data, uint32_t capacity) {
    const uint32_t count = tyf_uart_ring_take_all(&tyf_uart_console, data, capacity);
    if (count > 0) {
        const uint32_t masked = tyf_cortex_m_mask();
        tyf_board_uart_receive();
        tyf_cortex_m_unmask(masked);
    }
    return count;
}

#if TYF_CFG_BLE
static uint8_t received_memory[TYF_CFG_HCI_RX_BYTES], to_send_memory[TYF_CFG_HCI_TX_BYTES];

static tyf_uart_ring_fill received_fill, to_send_fill;

const tyf_uart_ring tyf_uart_hci_received = {&received_fill, received_memory, sizeof received_memory};
const tyf_uart_ring tyf_uart_hci_to_send = {&to_send_fill, to_send_memory, sizeof to_send_memory};

uint32_t tyf_port_hci_read(uint8_t *data, uint32_t capacity) {
    const uint32_t count = tyf_uart_ring_take_all(&tyf_uart_hci_received, data, capacity);
    if (count > 0) {
        const uint32_t masked = tyf_cortex_m_mask();
        tyf_board_hci_receive();
        tyf_cortex_m_unmask(masked);
    }
    return count;
}

uint32_t tyf_port_hci_write(const uint8_t *data, uint32_t bytes) {
    uint32_t count = 0;
    while (count < bytes && !tyf_uart_ring_is_full(&tyf_uart_hci_to_send)) {
        tyf_uart_ring_put(&tyf_uart_hci_to_send, data[count++]);
    }
    const uint32_t masked = tyf_cortex_m_mask();
    tyf_board_hci_send();
    tyf_cortex_m_unmask(masked);
    return count;
}

static bool is_idle(void) {
    return tyf_uart_ring_is_empty(&tyf_uart_console) && tyf_uart_ring_is_empty(&tyf_uart_hci_received);
}
#else
static bool is_idle(void) {
    return tyf_uart_ring_is_empty(&tyf_uart_console);
}
#endif

void tyf_port_idle(void) {
    const uint32_t masked = tyf_cortex_m_mask();
    if (is_idle()) {
        tyf_cortex_m_wait(); /* an interrupt that came after the mask ends it at once: no wake-up is lost */
    }
    tyf_cortex_m_unmask(masked);
}
