#include "tick.h"

#include "cortex_m.h"
#include "tyf/core/config.h"

#if TYF_CFG_GUARD

#define SYST_CSR 0xe000e010u
#define SYST_RVR 0xe000e014u
#define SYST_CVR 0xe000e018u
#define CSR_ON 7u /* enable, interrupt, the core's clock */

#define CLOCKS_PER_MS (TYF_BOARD_CLOCK_HZ / 1000u)
#define COUNTER_MS (0xffffffu / CLOCKS_PER_MS) /* the counter has 24 bits */
#define COARSE_MS (COUNTER_MS < 250u ? COUNTER_MS : 250u)

static uint32_t users, period_ms;

static void set(uint32_t ms) {
    if (ms == period_ms) {
        return;
    }
    period_ms = ms;
    TYF_REGISTER(SYST_CSR) = 0;
    if (ms != 0) {
        TYF_REGISTER(SYST_RVR) = ms * CLOCKS_PER_MS - 1u;
        TYF_REGISTER(SYST_CVR) = 0;
        TYF_REGISTER(SYST_CSR) = CSR_ON;
    }
}

static void set_users(uint32_t added, uint32_t removed) {
    const uint32_t masked = tyf_cortex_m_mask();
    users = (users | added) & ~removed;
    set(users == 0 ? 0u : users == TYF_TICK_LIVE ? COARSE_MS : 1u);
    tyf_cortex_m_unmask(masked);
}

void tyf_tick_start(uint32_t user) {
    set_users(user, 0);
}

void tyf_tick_stop(uint32_t user) {
    set_users(0, user);
}

uint32_t tyf_tick_ms(void) {
    return period_ms;
}

#endif
