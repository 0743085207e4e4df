/**
 * What a manifest says of other boards: the host board's flash is that of the emulated MPS2 boards, at address 0. A
 * test compares the two. Pages and units can be those of another board, for its drivers' sake.
 *
 *     static uint8_t nvm[TYF_BOARD_NVM_BYTES];
 */
#ifndef TYF_HOST_BOARD_FACTS_H
#define TYF_HOST_BOARD_FACTS_H

#ifndef TYF_BOARD_NVM_PAGE_BYTES
#define TYF_BOARD_NVM_PAGE_BYTES 4096u
#define TYF_BOARD_NVM_UNIT_BYTES 8u
#endif

/* As imgtool makes them of the domain tinyfleet.invalid and the class host. */
#define TYF_BOARD_VENDOR_ID                                                                                            \
    0x26, 0xb7, 0x60, 0x09, 0x0d, 0x60, 0x54, 0x11, 0xa8, 0x3b, 0x55, 0x27, 0x64, 0xae, 0xb4, 0xc7
#define TYF_BOARD_CLASS_ID                                                                                             \
    0x1e, 0x06, 0xb7, 0x36, 0x3f, 0x1f, 0x5c, 0xc5, 0x98, 0xe1, 0x71, 0x37, 0x6c, 0x94, 0x7a, 0xc8

#define TYF_BOARD_NVM_BASE 0u
#define TYF_BOARD_NVM_BYTES 0x340000u

#define TYF_BOARD_AREA_IDENTITY_ADDRESS 0x0u
#define TYF_BOARD_AREA_IDENTITY_BYTES 0x1000u
#define TYF_BOARD_AREA_BOOT_STATE_0_ADDRESS 0x1000u
#define TYF_BOARD_AREA_BOOT_STATE_0_BYTES 0x1000u
#define TYF_BOARD_AREA_BOOT_STATE_1_ADDRESS 0x2000u
#define TYF_BOARD_AREA_BOOT_STATE_1_BYTES 0x1000u
#define TYF_BOARD_AREA_SETTINGS_0_ADDRESS 0x4000u
#define TYF_BOARD_AREA_SETTINGS_0_BYTES 0x4000u
#define TYF_BOARD_AREA_SETTINGS_1_ADDRESS 0x8000u
#define TYF_BOARD_AREA_SETTINGS_1_BYTES 0x4000u
#define TYF_BOARD_AREA_COUNTER_0_ADDRESS 0xc000u
#define TYF_BOARD_AREA_COUNTER_0_BYTES 0x1000u
#define TYF_BOARD_AREA_COUNTER_1_ADDRESS 0xd000u
#define TYF_BOARD_AREA_COUNTER_1_BYTES 0x1000u
#define TYF_BOARD_AREA_CRASH_ADDRESS 0xe000u
#define TYF_BOARD_AREA_CRASH_BYTES 0x2000u
#define TYF_BOARD_AREA_MODEL_0_ADDRESS 0x40000u
#define TYF_BOARD_AREA_MODEL_0_BYTES 0x80000u
#define TYF_BOARD_AREA_MODEL_1_ADDRESS 0xc0000u
#define TYF_BOARD_AREA_MODEL_1_BYTES 0x80000u
#define TYF_BOARD_AREA_SLOT_0_ADDRESS 0x140000u
#define TYF_BOARD_AREA_SLOT_0_BYTES 0x100000u
#define TYF_BOARD_AREA_SLOT_1_ADDRESS 0x240000u
#define TYF_BOARD_AREA_SLOT_1_BYTES 0x100000u

#endif
