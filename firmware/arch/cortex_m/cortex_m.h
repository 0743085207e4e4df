/**
 * The Cortex-M core as drivers see it.
 *
 *     static void receive(void);
 *
 *     __attribute__((section(".isr_vector.board"), used)) const tyf_cortex_m_handler board_vectors[] = {
 *         [TYF_BOARD_UART_RX_IRQ] = receive,
 *     };
 *
 *     tyf_cortex_m_enable_irq(TYF_BOARD_UART_RX_IRQ);
 */
#ifndef TYF_CORTEX_M_H
#define TYF_CORTEX_M_H

#include <stdint.h>

#include "tyf/core/config.h"

/** An entry of the vector table. */
typedef void (*tyf_cortex_m_handler)(void);

/** A memory-mapped register. */
#define TYF_REGISTER(address) (*(volatile uint32_t *)(uintptr_t)(address))

/** Let interrupt number irq (0 .. 239) through, at the middle priority. */
void tyf_cortex_m_enable_irq(uint32_t irq);

/** Mask interrupts. @return what tyf_cortex_m_unmask() needs to restore the state before */
static inline uint32_t tyf_cortex_m_mask(void) {
    uint32_t primask;
    __asm volatile("mrs %0, primask\n cpsid i" : "=r"(primask)::"memory");
    return primask;
}

/** End the masking of the matching tyf_cortex_m_mask(). */
static inline void tyf_cortex_m_unmask(uint32_t primask) {
    __asm volatile("msr primask, %0" ::"r"(primask) : "memory");
}

/** Number of the exception that runs; 0 in thread mode. */
static inline uint32_t tyf_cortex_m_exception(void) {
    uint32_t number;
    __asm volatile("mrs %0, ipsr" : "=r"(number));
    return number;
}

/**
 * Where there is a memory protection unit, NVM can be written only between these two: for the driver of NVM, in thread
 * mode, around each change. Elsewhere, and with TYF_CFG_GUARD 0, they do nothing.
 */
void tyf_cortex_m_nvm_open(void);
void tyf_cortex_m_nvm_close(void);

/** Write word to all of [begin, end), both multiples of 4, in three instructions for 8 words. */
void tyf_cortex_m_fill(uint32_t *begin, const uint32_t *end, uint32_t word);

/** Sleep until an interrupt is pending, masked or not; with TYF_CFG_STAY_AWAKE return at once. */
static inline void tyf_cortex_m_wait(void) {
#if !TYF_CFG_STAY_AWAKE
    __asm volatile("dsb\n wfi" ::: "memory");
#endif
}

#endif
