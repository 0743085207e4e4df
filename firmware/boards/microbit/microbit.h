/**
 * What the drivers of the micro:bit (nRF51822) share. Addresses, interrupts, pins and clock are TYF_BOARD_* macros from
 * the board's manifest.
 */
#ifndef TYF_BOARDS_MICROBIT_H
#define TYF_BOARDS_MICROBIT_H

void tyf_microbit_uart_start(void);
void tyf_microbit_uart_interrupt(void);

void tyf_microbit_time_start(void);
void tyf_microbit_wake_interrupt(void);

void tyf_microbit_watchdog_start(void);

#endif
