/** SysTick: runs only while somebody needs it, so that a measured inference sees no interrupt that it did not ask for.
 */
#ifndef TYF_CORTEX_M_TICK_H
#define TYF_CORTEX_M_TICK_H

#include <stdint.h>

/* Who needs it; bits. All but the last need 1 ms. */
#define TYF_TICK_GUARD_THREAD 1u
#define TYF_TICK_GUARD_LIVE 2u
#define TYF_TICK_SAMPLING 4u
#define TYF_TICK_LIVE 8u /* a live inference, which must only be seen to hang: a coarse tick will do */

/* One user more or less; from thread mode and live inference. */
void tyf_tick_start(uint32_t user);
void tyf_tick_stop(uint32_t user);

/* Milliseconds from one tick to the next, as it is set. */
uint32_t tyf_tick_ms(void);

#endif
