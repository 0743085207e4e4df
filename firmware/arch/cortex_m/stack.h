/** The stacks of the main program and of handlers: painted at start-up, so that their high water can be read. */
#ifndef TYF_CORTEX_M_STACK_H
#define TYF_CORTEX_M_STACK_H

#include <stdint.h>

/**
 * Fill the whole main stack with a pattern, and with TYF_CFG_GUARD what of the handlers' stack is not in use; only
 * while nothing runs on the first and the caller runs on the second.
 */
void tyf_stack_paint(void);

/** Size of the handlers' stack, and most bytes of it that were ever in use since boot; with TYF_CFG_GUARD. */
uint32_t tyf_handler_stack_bytes(void);
uint32_t tyf_handler_stack_used_bytes(void);

#endif
