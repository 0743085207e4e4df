/** The main stack: painted at start-up, so that its high water can be read. */
#ifndef TYF_CORTEX_M_STACK_H
#define TYF_CORTEX_M_STACK_H

/** Fill the whole main stack with a pattern; only while nothing runs on it. */
void tyf_stack_paint(void);

#endif
