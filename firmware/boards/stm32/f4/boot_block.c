/*
 * The chip takes stack and first instruction from the begin of its flash, where the sectors are small: those are the
 * ones for NVM, and the program lies behind them. Start-up then makes the program's own vector table the valid one.
 */

#include <stdint.h>

#include "cortex_m.h"

extern uint32_t tyf_handler_stack_end[];
void Reset_Handler(void);

__attribute__((section(".boot_block"), used)) static const tyf_cortex_m_handler boot_block[2] = {
    (tyf_cortex_m_handler)(uintptr_t)tyf_handler_stack_end,
    Reset_Handler,
};
