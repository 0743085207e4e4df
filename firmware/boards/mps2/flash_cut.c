#include "flash_cut.h"

#include "cortex_m.h"

#if TYF_CFG_FLASH_CUT

static volatile tyf_flash_cut_page *const page =
    (volatile tyf_flash_cut_page *)(TYF_BOARD_NVM_BASE + TYF_FLASH_CUT_PAGE_OFFSET);

static uint32_t is_planned(void) {
    return page->magic == TYF_FLASH_CUT_MAGIC && page->operations == page->cut_at;
}

uint32_t tyf_mps2_flash_begin(void) {
    page->operations = page->operations + 1u;
    return is_planned() ? page->halves : 2u;
}

void tyf_mps2_flash_end(void) {
    if (is_planned()) {
        (void)tyf_cortex_m_mask();
        page->stopped = 1;
        for (;;) {
            tyf_cortex_m_wait();
        }
    }
}

#endif
