#include "tyf/core/config.h"
#include "tyf/core/wire.h"
#include "tyf/port/system.h"

#if TYF_CFG_EVENTS > 0

/* Start-up leaves it alone. */
static uint8_t kept[TYF_CFG_EVENTS * TYF_EVENT_BYTES] __attribute__((section(".noinit")));

uint8_t *tyf_port_kept(uint32_t *bytes) {
    *bytes = sizeof kept;
    return kept;
}

#endif
