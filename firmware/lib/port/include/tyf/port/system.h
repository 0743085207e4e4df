/**
 * The board itself: its name, start, rest and end.
 *
 *     tyf_port_start();
 *     for (;;) {
 *         if (!work()) {
 *             tyf_port_idle();
 *         }
 *         tyf_port_watchdog_feed();
 *     }
 */
#ifndef TYF_PORT_SYSTEM_H
#define TYF_PORT_SYSTEM_H

#include <stdbool.h>
#include <stdint.h>

/** Why the board last reset by itself. */
typedef struct {
    uint32_t pc;   /**< instruction that failed; 0 when the stack was lost too */
    uint32_t lr;   /**< return address at that point */
    uint32_t cfsr; /**< Cortex-M configurable fault status; 0 when the watchdog ran out */
} tyf_port_fault;

/** Id of the board, as its manifest's file name. */
const char *tyf_port_board(void);

/** Bring up clock, UART and watchdog; call once, first in main(). */
void tyf_port_start(void);

/**
 * The watchdog alone, for a bootloader: what it starts must come as far as tyf_port_start() by then. On boards that
 * have slots for updates.
 */
void tyf_port_watchdog_start(uint32_t timeout_s);

/** Sleep until an interrupt has work for the main loop, at most about a second; returns at once if there is some. */
void tyf_port_idle(void);

/** Tell the watchdog that the program advances. It outlasts the slowest single inference. */
void tyf_port_watchdog_feed(void);

/** Start over. On a board it does not return; the host board starts over when control is back with it. */
void tyf_port_reset(void);

/** Resets since power-on; 0 after power-on. */
uint32_t tyf_port_resets(void);

/** @return true and the last fault when there was one since power-on; else false and zeros */
bool tyf_port_last_fault(tyf_port_fault *fault);

/**
 * Keep interrupts out for as long as a measurement takes that must repeat. The watchdog goes on.
 *
 * @return what tyf_port_resume_interrupts() needs to restore the state before
 */
uint32_t tyf_port_hold_interrupts(void);

/** End the matching tyf_port_hold_interrupts(). */
void tyf_port_resume_interrupts(uint32_t state);

/**
 * Memory that outlasts a reset, and after a loss of power holds anything: TYF_CFG_EVENTS entries of TYF_EVENT_BYTES.
 * Where TYF_CFG_EVENTS > 0.
 */
uint8_t *tyf_port_kept(uint32_t *bytes);

/** Size of the main stack. */
uint32_t tyf_port_stack_bytes(void);

/** Most bytes of the main stack that were ever in use since boot; 0 where it is not measured. */
uint32_t tyf_port_stack_used_bytes(void);

#endif
