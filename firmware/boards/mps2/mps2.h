/**
 * What the drivers of the Arm MPS2 and MPS3 boards (CMSDK peripherals) share. Addresses, interrupts and clock are
 * TYF_BOARD_* macros from the board's manifest, so that one source serves every board of the family.
 */
#ifndef TYF_BOARDS_MPS2_H
#define TYF_BOARDS_MPS2_H

void tyf_mps2_uart_start(void);
void tyf_mps2_uart_rx_interrupt(void);
void tyf_mps2_uart_tx_interrupt(void);

/* With TYF_CFG_BLE. */
void tyf_mps2_hci_start(void);
void tyf_mps2_hci_rx_interrupt(void);
void tyf_mps2_hci_tx_interrupt(void);

void tyf_mps2_time_start(void);
void tyf_mps2_wake_interrupt(void);

#endif
