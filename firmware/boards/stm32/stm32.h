/**
 * What the drivers of ST's STM32 chips share; names in capitals are those of ST's reference manuals (STM32F446: RM0390,
 * STM32U585: RM0456). chip.h, from the folder of the chip's family, says where the families differ. Addresses,
 * interrupts, pins and clocks are TYF_BOARD_* macros from the board's manifest.
 */
#ifndef TYF_BOARDS_STM32_H
#define TYF_BOARDS_STM32_H

/** Clock tree, and the clocks of the peripherals that the other drivers use. */
void tyf_stm32_clock_start(void);

void tyf_stm32_uart_start(void);
void tyf_stm32_uart_interrupt(void);

void tyf_stm32_time_start(void);
void tyf_stm32_wake_interrupt(void);

void tyf_stm32_watchdog_start(void);

#endif
