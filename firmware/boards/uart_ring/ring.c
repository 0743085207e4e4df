#include "ring.h"

#include "cortex_m.h"
#include "tyf/core/config.h"
#include "tyf/port/system.h"
#include "tyf/port/uart.h"

/* head and tail run freely; the difference is the fill. Each has one writer: the interrupt, the main loop. */
static uint8_t ring[TYF_CFG_UART_RX_BYTES];
static volatile uint32_t head, tail;

void tyf_uart_ring_clear(void) {
    head = 0;
    tail = 0;
}

bool tyf_uart_ring_is_full(void) {
    return head - tail == sizeof ring;
}

void tyf_uart_ring_put(uint8_t byte) {
    ring[head % sizeof ring] = byte;
    head = head + 1u;
}

uint32_t tyf_port_uart_read(uint8_t *data, uint32_t capacity) {
    uint32_t count = 0;
    while (count < capacity && tail != head) {
        data[count++] = ring[tail % sizeof ring];
        tail = tail + 1u;
    }
    if (count > 0) {
        uint32_t masked = tyf_cortex_m_mask();
        tyf_board_uart_receive();
        tyf_cortex_m_unmask(masked);
    }
    return count;
}

void tyf_port_idle(void) {
    uint32_t masked = tyf_cortex_m_mask();
    if (head == tail) {
        tyf_cortex_m_wait(); /* an interrupt that came after the mask ends it at once: no wake-up is lost */
    }
    tyf_cortex_m_unmask(masked);
}
