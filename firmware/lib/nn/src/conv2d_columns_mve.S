/*
 * Copies the windows of neighbouring pixels into columns, for conv2d_s8_mve.c.
 *
 *     void tyf_mve_copy_windows(const tyf_mve_windows *windows);
 *
 * Reads and writes no byte outside of the windows and their columns.
 */
    .syntax unified
    .thumb

/* Offsets in tyf_mve_windows. */
#define SOURCE 0
#define COLUMN 4
#define PIXELS 8
#define PIXEL_STEP 12
#define COLUMN_STEP 16
#define ROWS 20
#define ROW_STEP 24
#define ROW_BYTES 28
#define COLUMN_ROW_STEP 32

    .section .text.tyf_mve_copy_windows, "ax", %progbits
    .balign 4
    .global tyf_mve_copy_windows
    .type tyf_mve_copy_windows, %function
    .thumb_func
tyf_mve_copy_windows:
    push {r4-r11, lr}
    ldrd r1, r2, [r0, #SOURCE] /* and column */
    ldrd r4, r5, [r0, #ROW_STEP] /* and bytes */
    ldr r6, [r0, #COLUMN_ROW_STEP]
    ldr r3, [r0, #PIXELS]
    cmp r5, #16
    bhi 4f
    /* One vector a row. */
    vctp.8 r5
    ldr r12, [r0, #ROWS]
    cmp r12, #3
    bne 1f
    /* Three rows, the most common. */
    add r9, r1, r4
    add r10, r9, r4
    add r11, r2, r6
    add r12, r11, r6
    ldrd r7, r8, [r0, #PIXEL_STEP] /* and of columns */
    mov lr, r3
8:
    vpsttt
    vldrbt.8 q0, [r1]
    vldrbt.8 q1, [r9]
    vldrbt.8 q2, [r10]
    vpsttt
    vstrbt.8 q0, [r2]
    vstrbt.8 q1, [r11]
    vstrbt.8 q2, [r12]
    add r1, r7
    add r9, r7
    add r10, r7
    add r2, r8
    add r11, r8
    add r12, r8
    le lr, 8b
    pop {r4-r11, pc}
1:
    mov r9, r1
    mov r10, r2
    mov lr, r12
2:
    vpstt
    vldrbt.8 q0, [r9]
    vstrbt.8 q0, [r10]
    add r9, r4
    add r10, r6
    le lr, 2b
    ldrd r7, r8, [r0, #PIXEL_STEP] /* and of columns */
    add r1, r7
    add r2, r8
    subs r3, #1
    bne 1b
    pop {r4-r11, pc}
4:
    mov r9, r1
    mov r10, r2
    ldr r11, [r0, #ROWS]
5:
    mov r8, r9
    mov r12, r10
    wlstp.8 lr, r5, 7f
6:
    vldrb.8 q0, [r8], #16
    vstrb.8 q0, [r12], #16
    letp lr, 6b
7:
    add r9, r4
    add r10, r6
    subs r11, #1
    bne 5b
    ldrd r7, r8, [r0, #PIXEL_STEP]
    add r1, r7
    add r2, r8
    subs r3, #1
    bne 4b
    pop {r4-r11, pc}
    .size tyf_mve_copy_windows, . - tyf_mve_copy_windows
