/** What outlives a reset: the last fault and the number of resets. */
#ifndef TYF_CORTEX_M_FAULT_H
#define TYF_CORTEX_M_FAULT_H

/** Handler of all faults and of the watchdog's NMI: records where it happened and resets. */
void Fault_Handler(void);

/** The same, but for a board whose flash reports damage by an NMI: it has its own. */
void NMI_Handler(void);

/** Count this start; once, at start-up. */
void tyf_fault_count_start(void);

#endif
