/**
 * Checks of our own assumptions; never of bytes from outside, which get a status.
 *
 *     TYF_ASSERT(offset <= ring->capacity);
 */
#ifndef TYF_CORE_ASSERT_H
#define TYF_CORE_ASSERT_H

#include "tyf/core/config.h"

#if TYF_CFG_ASSERT
/** Stop at once: on a board the fault handler records this place and resets, on the host the process aborts. */
#define TYF_ASSERT(condition) ((condition) ? (void)0 : __builtin_trap())
#else
#define TYF_ASSERT(condition) ((void)0)
#endif

#endif
