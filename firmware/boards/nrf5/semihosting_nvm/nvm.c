/*
 * Non-volatile memory: a file of the host, through Arm semihosting. QEMU's micro:bit forgets its flash when it ends,
 * and has no RAM that could be kept in a file. The file's name is the program's command line.
 */

#include "tyf/port/nvm.h"

#include <stdbool.h>
#include <string.h>

#define SYS_OPEN 0x01u
#define SYS_WRITE 0x05u
#define SYS_READ 0x06u
#define SYS_SEEK 0x0au
#define SYS_GET_CMDLINE 0x15u
#define OPEN_READ_WRITE 3u /* "r+b" */
#define NAME_BYTES 384u

static bool is_open;
static uint32_t file;

/* The operation in r0 with its arguments at r1; the result comes back in r0. */
static int32_t ask_host(uint32_t operation, uint32_t *arguments) {
    register uint32_t r0 __asm("r0") = operation;
    register uint32_t *r1 __asm("r1") = arguments;
    __asm volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return (int32_t)r0;
}

static bool open_file(void) {
    char name[NAME_BYTES];
    uint32_t line[2] = {(uint32_t)(uintptr_t)name, sizeof name};
    if (!is_open && ask_host(SYS_GET_CMDLINE, line) == 0) {
        uint32_t opening[3] = {(uint32_t)(uintptr_t)name, OPEN_READ_WRITE, (uint32_t)strlen(name)};
        int32_t handle = ask_host(SYS_OPEN, opening);
        is_open = handle != -1;
        file = (uint32_t)handle;
    }
    return is_open;
}

static bool is_inside(uint32_t offset, uint32_t bytes) {
    return offset <= TYF_BOARD_NVM_BYTES && bytes <= TYF_BOARD_NVM_BYTES - offset;
}

/* Both operations answer with the bytes that were not moved. */
static tyf_status transfer(uint32_t operation, uint32_t offset, const void *data, uint32_t bytes) {
    if (!is_inside(offset, bytes)) {
        return TYF_ERR_ARG;
    }
    uint32_t seek[2], block[3];
    if (open_file()) {
        seek[0] = file;
        seek[1] = offset;
        block[0] = file;
        block[1] = (uint32_t)(uintptr_t)data;
        block[2] = bytes;
        if (ask_host(SYS_SEEK, seek) == 0 && ask_host(operation, block) == 0) {
            return TYF_OK;
        }
    }
    return TYF_ERR_FLASH;
}

tyf_status tyf_port_nvm_read(uint32_t offset, void *data, uint32_t bytes) {
    return transfer(SYS_READ, offset, data, bytes);
}

tyf_status tyf_port_nvm_write(uint32_t offset, const void *data, uint32_t bytes) {
    return transfer(SYS_WRITE, offset, data, bytes);
}
