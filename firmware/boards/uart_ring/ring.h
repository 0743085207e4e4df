/**
 * Bytes between a UART's interrupt and the main loop: a ring with one writer and one reader. On top of two of them lie
 * tyf_port_uart_read() and tyf_port_idle(), and tyf_port_hci_read() and tyf_port_hci_write() (hci.h), which are the
 * same on every board.
 *
 *     void interrupt(void) {
 *         while (byte_waits()) {
 *             if (tyf_uart_ring_is_full(&tyf_uart_console)) {
 *                 interrupt_off();
 *                 return;
 *             }
 *             tyf_uart_ring_put(&tyf_uart_console, take_byte());
 *         }
 *     }
 */
#ifndef TYF_BOARDS_UART_RING_H
#define TYF_BOARDS_UART_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/** head and tail run freely; the difference is the fill. Each has one writer: who puts, who takes. */
typedef struct {
    volatile uint32_t head, tail;
} tyf_uart_ring_fill;

/** A ring: constant but for what it points to. */
typedef struct {
    tyf_uart_ring_fill *fill;
    uint8_t *memory;
    uint32_t bytes; /**< a power of two */
} tyf_uart_ring;

/** What the console has received: TYF_CFG_UART_RX_BYTES. */
extern const tyf_uart_ring tyf_uart_console;

/** Forget what is in it. Interrupts masked, or before they are on. */
static inline void tyf_uart_ring_clear(const tyf_uart_ring *ring) {
    ring->fill->head = 0;
    ring->fill->tail = 0;
}

static inline bool tyf_uart_ring_is_empty(const tyf_uart_ring *ring) {
    return ring->fill->head == ring->fill->tail;
}

static inline bool tyf_uart_ring_is_full(const tyf_uart_ring *ring) {
    return ring->fill->head - ring->fill->tail == ring->bytes;
}

/** Not when full. By the one who writes. */
static inline void tyf_uart_ring_put(const tyf_uart_ring *ring, uint8_t byte) {
    ring->memory[ring->fill->head & (ring->bytes - 1u)] = byte;
    atomic_signal_fence(memory_order_seq_cst); /* the byte first: the other side may run from here on */
    ring->fill->head = ring->fill->head + 1u;
}

/** Not when empty. By the one who reads. */
static inline uint8_t tyf_uart_ring_take(const tyf_uart_ring *ring) {
    atomic_signal_fence(memory_order_seq_cst); /* not before it was seen that there is one, */
    const uint8_t byte = ring->memory[ring->fill->tail & (ring->bytes - 1u)];
    atomic_signal_fence(memory_order_seq_cst); /* and not when its place may hold another */
    ring->fill->tail = ring->fill->tail + 1u;
    return byte;
}

/** Take up to capacity bytes; how many. */
uint32_t tyf_uart_ring_take_all(const tyf_uart_ring *ring, uint8_t *data, uint32_t capacity);

/** The board's part: there is room again, take what the UART still holds. Called with interrupts masked. */
void tyf_board_uart_receive(void);

#endif
