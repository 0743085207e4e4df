/*
 * A program that works flows off by itself and says how far it is, for emulated boards whose power is cut: what to do
 * stands in the page of flash_cut.h, the image of an update behind the areas of the flash map.
 */
#include <stddef.h>
#include <string.h>

#include "cortex_m.h"
#include "flash_cut.h"
#include "tyf/boot/slots.h"
#include "tyf/core/bytes.h"
#include "tyf/flash_map/flash_map.h"
#include "tyf/identity/identity.h"
#include "tyf/port/system.h"
#include "tyf/settings/settings.h"

#define MAILBOX_OFFSET 0x400000u /* bytes of the image, then the image at the next multiple of 16 */
#define CHUNK_BYTES 480u

enum { SETTINGS, UPDATE, UPDATE_CONFIRMED }; /* flow */

/* The host writes another one into each image that it signs. */
static const volatile uint8_t marker[16] = "tinyfleet marker";

static volatile tyf_flash_cut_page *const page =
    (volatile tyf_flash_cut_page *)(TYF_BOARD_NVM_BASE + TYF_FLASH_CUT_PAGE_OFFSET);

static void tell(volatile uint32_t *word, uint32_t value) {
    tyf_cortex_m_nvm_open();
    *word = value;
    tyf_cortex_m_nvm_close();
}

static void tell_what_runs(void) {
    const bool is_first = page->first[0] == 0;
    tyf_cortex_m_nvm_open();
    for (uint32_t i = 0; i < sizeof page->running; i++) {
        page->running[i] = marker[i];
        if (is_first) {
            page->first[i] = marker[i];
        }
    }
    tyf_cortex_m_nvm_close();
}

static bool must(tyf_status status) {
    if (status != TYF_OK) {
        tell(&page->done, (uint32_t)(0x100 - (int)status));
    }
    return status == TYF_OK;
}

/* The same changes each time; progress is the number of the last one whose call returned. */
static void change_settings(void) {
    static uint8_t value[200];
    if (!must(tyf_settings_start())) {
        return;
    }
    for (uint32_t step = page->progress + 1u; step <= 120u; step++) {
        const char key[2] = {(char)('a' + step % 3u), 0};
        memset(value, (int)step, sizeof value);
        if (!must(step % 5u == 0 ? tyf_settings_delete(key)
                                 : tyf_settings_set(key, value, sizeof value - step % 50u))) {
            return;
        }
        tell(&page->progress, step);
    }
    tell(&page->done, 1);
}

static bool upload(void) {
    const uint8_t *mailbox = (const uint8_t *)(uintptr_t)(TYF_BOARD_NVM_BASE + MAILBOX_OFFSET);
    const uint32_t bytes = tyf_get_u32_le(mailbox);
    for (uint32_t at = 0; at < bytes; at += CHUNK_BYTES) {
        const uint32_t count = bytes - at < CHUNK_BYTES ? bytes - at : CHUNK_BYTES;
        for (uint32_t erase = (at + TYF_FLASH_PAGE_BYTES - 1u) / TYF_FLASH_PAGE_BYTES * TYF_FLASH_PAGE_BYTES;
             erase < at + count; erase += TYF_FLASH_PAGE_BYTES) {
            if (!must(tyf_boot_erase(1, erase))) {
                return false;
            }
        }
        if (!must(tyf_boot_program(1, at, mailbox + 16u + at, count))) {
            return false;
        }
    }
    return true;
}

/* progress: 1 the update was asked for, 2 the new image runs, 3 it is confirmed. */
static void update(void) {
    const bool is_new = tyf_boot_active() == 1;
    if (!is_new && page->progress < 2) {
        if (!upload()) {
            return;
        }
        if (must(tyf_boot_mark_test(1))) {
            tell(&page->progress, 1);
            tyf_port_reset();
        }
    } else if (is_new && page->progress < 3) {
        tell(&page->progress, 2);
        if (page->flow == UPDATE_CONFIRMED) {
            if (!must(tyf_boot_confirm())) {
                return;
            }
            tell(&page->progress, 3);
        }
        tyf_port_reset();
    } else {
        tell(&page->done, 1);
    }
}

int main(void) {
    tyf_identity identity;
    tyf_port_start();
    tell_what_runs();
    if (must(tyf_identity_start(&identity))) {
        if (page->flow == SETTINGS) {
            change_settings();
        } else {
            update();
        }
    }
    for (;;) {
        tyf_port_idle();
        tyf_port_watchdog_feed();
    }
}
