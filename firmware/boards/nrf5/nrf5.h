/**
 * What the drivers of Nordic's nRF51 and nRF52 chips share; the names in comments are those of Nordic's product
 * specifications. Addresses, interrupts, pins and clock are TYF_BOARD_* macros from the board's manifest.
 */
#ifndef TYF_BOARDS_NRF5_H
#define TYF_BOARDS_NRF5_H

void tyf_nrf5_clock_start(void);

void tyf_nrf5_uart_start(void);
void tyf_nrf5_uart_interrupt(void);

void tyf_nrf5_time_start(void);
void tyf_nrf5_wake_interrupt(void);

void tyf_nrf5_watchdog_start(void);

#endif
