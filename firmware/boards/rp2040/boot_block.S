/*
 * The first 256 bytes of the flash. The chip's ROM loads them into RAM, checks the CRC-32 at their end (polynomial
 * 0x04c11db7, from 0xffffffff, bits not reflected, not inverted) and runs them: the flash must then become readable as
 * memory, and the program must start.
 *
 * It is read by command 03h, one bit at a time, which every flash chip knows: correct with any of them, and about a third
 * of the speed of a four-bit command on what is not in the 16 KiB cache.
 *
 * The CRC is of these very bytes; tests/host/test_real_boards.py says what it must be when they change.
 */
#include "rp2040.h"

    .syntax unified
    .cpu cortex-m0plus
    .thumb
    .section .boot_block, "ax"
    .balign 4

    /* Runs wherever it was loaded to. Pairs of register and value, until the register is 0. */
    adr r0, settings
1:  ldmia r0!, {r1, r2}
    cmp r1, #0
    beq 2f
    str r2, [r1]
    b 1b
    /* r2 is the vector table: stack pointer, first instruction. */
2:  ldmia r2!, {r0, r1}
    msr msp, r0
    bx r1

    .balign 4
settings:
    .word RP2040_XIP_SSI + 0x08, 0                    /* SSIENR: off, to be set up */
    .word RP2040_XIP_SSI + 0x14, RP2040_FLASH_DIVIDER /* BAUDR */
    .word RP2040_XIP_SSI + 0x00, 0x001f0300           /* CTRLR0: one line, frames of 32 bits, send then receive */
    .word RP2040_XIP_SSI + 0xf4, 0x03000218           /* SPI_CTRLR0: command 03h of 8 bits, address of 24 */
    .word RP2040_XIP_SSI + 0x04, 0                    /* CTRLR1: one frame a read */
    .word RP2040_XIP_SSI + 0x08, 1                    /* SSIENR: on */
    .word 0, tyf_vectors

    .org 252, 0
    .word 0x75835107
