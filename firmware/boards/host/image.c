#include "tyf/port/image.h"

#include "tyf/host_board.h"

static uint32_t image_address;

void tyf_host_run_image(uint32_t vector_table) {
    image_address = vector_table;
}

uint32_t tyf_port_image_address(void) {
    return image_address;
}

void tyf_port_start_image(uint32_t vector_table) {
    image_address = vector_table;
}
