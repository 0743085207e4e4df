/*
 * Change the flash, which cannot be read meanwhile: this runs from a copy in RAM (flash.c), with interrupts masked. r0
 * points at tyf_rp2040_flash_call. All it calls is in the chip's ROM.
 */
#include "rp2040.h"

    .syntax unified
    .cpu cortex-m0plus
    .thumb
    .section .rodata.tyf_rp2040_flash_change, "a"
    .balign 4
    .global tyf_rp2040_flash_change
    .global tyf_rp2040_flash_change_end

tyf_rp2040_flash_change:
    push {r4, r5, r6, lr}
    movs r4, r0
    ldr r5, [r4, #0]            /* connect_internal_flash */
    blx r5
    ldr r5, [r4, #4]            /* flash_exit_xip */
    blx r5
    ldr r5, [r4, #8]            /* erase or program */
    ldr r0, [r4, #20]
    ldr r1, [r4, #24]
    ldr r2, [r4, #28]
    ldr r3, [r4, #32]
    blx r5
    ldr r5, [r4, #12]           /* flash_flush_cache */
    blx r5
    ldr r5, [r4, #16]           /* flash_enter_cmd_xip: the same command as the boot block's */
    blx r5
    /* The ROM has its own, slower clock for the flash. */
    ldr r1, [r4, #36]           /* XIP_SSI */
    movs r0, #0
    str r0, [r1, #0x08]         /* SSIENR */
    movs r0, #RP2040_FLASH_DIVIDER
    str r0, [r1, #0x14]         /* BAUDR */
    movs r0, #1
    str r0, [r1, #0x08]
    pop {r4, r5, r6, pc}
    .balign 4
tyf_rp2040_flash_change_end:
