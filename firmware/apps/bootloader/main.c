/* The bootloader. What it decides is in lib/boot, where it can be tested. */
#include "tyf/boot/slots.h"
#include "tyf/flash_map/flash_map.h"
#include "tyf/port/image.h"
#include "tyf/port/system.h"
#include "tyf/port/uart.h"

/* From the last feed on. A check of the largest image takes 2 s of an emulated board's time. */
#define START_TIMEOUT_S 20u

int main(void) {
    /* Nothing else of the board: bytes that a host sends meanwhile wait for the image. */
    tyf_port_watchdog_start(START_TIMEOUT_S);
    uint32_t slot;
    if (tyf_boot_choose(&slot) == TYF_OK) {
        tyf_port_watchdog_feed(); /* from here on it outlasts the image's start, and not an image that hangs */
        tyf_port_start_image(tyf_area_address(slot == 0 ? TYF_AREA_SLOT_0 : TYF_AREA_SLOT_1) +
                             TYF_IMAGE_FIRMWARE_HEADER_BYTES);
    }
    static const uint8_t text[] = "tinyfleet bootloader: no slot holds an image that may run\n";
    tyf_port_start();
    for (;;) { /* until the watchdog starts all over */
        tyf_port_uart_write(text, sizeof text - 1u);
        tyf_port_idle();
    }
}
