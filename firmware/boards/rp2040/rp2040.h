/**
 * What the drivers of the RP2040 share; names in comments are those of its datasheet. Interrupts, pins and clocks are
 * TYF_BOARD_* macros from the board's manifest; the chip's own addresses stand here.
 */
#ifndef TYF_BOARDS_RP2040_H
#define TYF_BOARDS_RP2040_H

#define RP2040_XIP_SSI 0x18000000 /* serial interface to the flash */
#define RP2040_CLOCKS 0x40008000
#define RP2040_RESETS 0x4000c000
#define RP2040_PSM 0x40010000
#define RP2040_IO_BANK0 0x40014000
#define RP2040_PADS_BANK0 0x4001c000
#define RP2040_XOSC 0x40024000
#define RP2040_PLL_SYS 0x40028000
#define RP2040_TIMER 0x40054000
#define RP2040_WATCHDOG 0x40058000

/** Flash clock: the core's, divided by an even number. 31 MHz; a read command without dummy bytes may have 50. */
#define RP2040_FLASH_DIVIDER 4

#define RP2040_CRYSTAL_MHZ 12

#ifndef __ASSEMBLER__
/** Clock tree, and the peripherals that the other drivers use out of reset. */
void tyf_rp2040_clock_start(void);

void tyf_rp2040_uart_start(void);
void tyf_rp2040_uart_interrupt(void);

/* With TYF_CFG_BLE. */
void tyf_rp2040_hci_start(void);
void tyf_rp2040_hci_interrupt(void);

void tyf_rp2040_time_start(void);
void tyf_rp2040_wake_interrupt(void);

void tyf_rp2040_watchdog_start(void);
#endif

#endif
