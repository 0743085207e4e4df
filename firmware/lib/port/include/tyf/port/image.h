/**
 * Where the running program lies, and how a bootloader hands over to another one.
 *
 *     if (tyf_port_image_address() == tyf_area_address(TYF_AREA_SLOT_0) + TYF_IMAGE_FIRMWARE_HEADER_BYTES) ...
 */
#ifndef TYF_PORT_IMAGE_H
#define TYF_PORT_IMAGE_H

#include <stdint.h>

/** Address of the running program's vector table. */
uint32_t tyf_port_image_address(void);

/**
 * Start the program whose vector table lies there. Interrupts are off and none is pending then; the watchdog goes on.
 * Does not return.
 */
void tyf_port_start_image(uint32_t vector_table);

#endif
