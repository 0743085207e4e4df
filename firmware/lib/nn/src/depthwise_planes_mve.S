/*
 * The core of DEPTHWISE_CONV_2D for Helium: four channels at a time are laid out as planes, where a gather of eight
 * halfwords takes a window of 4x4 pixels, or a load 16 pixels of a line, and one VMLADAVA all products of an output.
 *
 *     void tyf_mve_depthwise_s1(const tyf_mve_planes *planes);        stride 1: a window holds 2x2 outputs
 *     void tyf_mve_depthwise_s1_relu(const tyf_mve_planes *planes);   outputs below the zero point are clamped away
 *     void tyf_mve_depthwise_s2(const tyf_mve_planes *planes);        stride 2: a window holds one output
 *     void tyf_mve_depthwise_s2_relu(const tyf_mve_planes *planes);
 *     void tyf_mve_depthwise_line(const tyf_mve_planes *planes);      stride 1, up to 13 weights along a line
 *     void tyf_mve_depthwise_line_relu(const tyf_mve_planes *planes);
 *
 * u runs along the lines of a plane, v across them; either may be the image's columns. A step makes 4 outputs along u by
 * 2 along v, or 8 along u. The last step of a line, and the last pair of lines, overlap the ones before instead of leaving the plane;
 * where that cannot be, a mask keeps lanes of the last step from being stored.
 *
 * Stream of a channel, 9 words: 0, three rows of weights as bytes 0 .. 2 and 0, or 16 weights of a line, multiplier,
 * round, 24 - shift, bias.
 * Requantisation as in mve.inc; with relu VQRDMLASH multiplies and adds `round` at once.
 */
#include "tyf/nn/mve.inc"

/* Offsets in tyf_mve_planes. */
#define INPUT 0
#define STREAM 4
#define OUTPUT 8
#define WRITE 12
#define READ 16
#define TABLE 20
#define TABLE_TAIL 24
#define GROUPS 28
#define INPUT_U4 32
#define INPUT_V 36
#define COUNT_U 40
#define COUNT_V 44
#define LINE 48
#define LINES 52
#define PAIRS 56
#define PAIR_READ 60
#define PAIR_OUTPUT 64
#define LAST_READ 68
#define LAST_OUTPUT 72
#define TAIL_BACK 76
#define TAIL_MASK 80
#define GATHER 96
#define SCATTER 112
#define WINDOW 128
#define WINDOW_BELOW 144

/* Our frame; it begins with the bias of a channel, eight times. */
#define F_PLANES 32
#define F_TABLE_TAIL 36
#define F_TAIL_BACK 40
#define F_GROUPS 44
#define F_CHANNELS 48
#define F_PAIRS 52
#define F_READ 56
#define F_CHANNEL_READ 60
#define F_CHANNEL_OUTPUT 64
#define F_STREAM 68
#define F_INPUT 72
#define F_MULTIPLIER 76
#define FRAME 80

.macro products stride
    ldm sp, {r0, r2, r4, r6, r8, r10, r12, lr}
.if \stride == 1
    vldrh.u16 q6, [r1, q4]
    add r1, #2
    vmladava.s8 r0, q6, q0
    vmladava.s8 r2, q6, q1
    vmladava.s8 r8, q6, q2
    vmladava.s8 r10, q6, q3
    vldrh.u16 q7, [r1, q4]
    add r1, #2
    vmladava.s8 r4, q7, q0
    vmladava.s8 r6, q7, q1
    vmladava.s8 r12, q7, q2
    vmladava.s8 lr, q7, q3
.elseif \stride == 0
    vldrb.8 q6, [r1], #4
    vmladava.s8 r0, q6, q0
    vmladava.s8 r2, q6, q1
    vmladava.s8 r4, q6, q2
    vmladava.s8 r6, q6, q3
    vldrb.8 q7, [r1], #4
    vmladava.s8 r8, q7, q0
    vmladava.s8 r10, q7, q1
    vmladava.s8 r12, q7, q2
    vmladava.s8 lr, q7, q3
.else
    product r0, r8
    product r2, r10
    product r4, r12
    product r6, lr
.endif
.endm

.macro product upper, lower
    vldrh.u16 q6, [r1, q4]
    vmladava.s8 \upper, q6, q0
    vldrh.u16 q7, [r1, q3]
    vmladava.s8 \lower, q7, q0
    add r1, #2
.endm

.macro finish_outputs relu
    vmov d12, r0, r2
    vmov d13, r4, r6
    vmov d14, r8, r10
    vmov d15, r12, lr
.if \relu
    vqrdmlash.s32 q6, q5, r7
    vqrdmlash.s32 q7, q5, r7
    vqshl.s32 q6, r9
    vqshl.s32 q7, r9
.else
    ldr r0, [sp, #F_MULTIPLIER]
    mov r2, #1
    vqrdmulh.s32 q5, q6, r0
    vqdmlah.s32 q5, q6, r2
    vqadd.s32 q6, q5, r7
    vqrdmulh.s32 q5, q7, r0
    vqdmlah.s32 q5, q7, r2
    vqadd.s32 q7, q5, r7
    vqshl.s32 q6, r9
    vqshl.s32 q7, r9
.endif
    vshr.u32 q7, q7, #8
    vsri.32 q7, q6, #24
    vldrw.32 q6, [r11], #16
.endm

.macro depthwise name, stride, relu
    enter \name, FRAME
    str r0, [sp, #F_PLANES]
    ldr r1, [r0, #TABLE_TAIL]
    ldrd r2, r3, [r0, #TAIL_BACK] /* and mask */
    strd r1, r2, [sp, #F_TABLE_TAIL]
    vmsr p0, r3
    ldr r1, [r0, #GROUPS]
    str r1, [sp, #F_GROUPS]
    ldrd r1, r2, [r0, #INPUT] /* and stream */
    strd r2, r1, [sp, #F_STREAM]
    ldr r1, [r0, #OUTPUT]
    str r1, [sp, #F_CHANNEL_OUTPUT]

1:  /* Four channels: pixels to planes. */
    ldr r0, [sp, #F_PLANES]
    ldr r1, [sp, #F_INPUT]
    add r2, r1, #4
    str r2, [sp, #F_INPUT]
    ldrd r3, r2, [r0, #WRITE] /* and read */
    str r2, [sp, #F_CHANNEL_READ]
    ldrd r4, r5, [r0, #INPUT_U4] /* and v */
    ldrd r6, r7, [r0, #COUNT_U] /* and v */
    ldr r8, [r0, #LINES]
    add r9, r0, #GATHER
    vldrw.32 q4, [r9]
    vldrw.32 q5, [r9, #SCATTER - GATHER]
2:
    mov r9, r1
    mov r10, r3
    wlstp.32 lr, r6, 4f
3:
    vldrw.u32 q0, [r9, q4]
    vstrb.8 q0, [r10, q5]
    add r9, r4
    add r10, #4
    letp lr, 3b
4:
    add r1, r5
    add r3, r8
    subs r7, #1
    bne 2b
    add r9, r0, #WINDOW
    vldrw.32 q4, [r9]
    mov r1, #4
    str r1, [sp, #F_CHANNELS]

5:  /* A channel. */
    ldr r5, [sp, #F_STREAM]
    ldr r6, [sp, #F_PLANES]
    vldrw.32 q0, [r5, #4]
.if \stride == 0
    vldrb.8 q1, [r5, #3]
    vldrb.8 q2, [r5, #2]
    vldrb.8 q3, [r5, #1]
.elseif \stride == 1
    vldrw.32 q2, [r5]
    vshl.i32 q1, q0, #8
    vshl.i32 q3, q2, #8
.else
    add r9, r6, #WINDOW
    vldrw.32 q3, [r9, #WINDOW_BELOW - WINDOW]
.endif
    add r5, #20
    ldm r5!, {r0, r7, r9, r12}
    str r5, [sp, #F_STREAM]
    str r0, [sp, #F_MULTIPLIER]
    vdup.32 q5, r0
    vdup.32 q6, r12
    vstrw.32 q6, [sp]
    vstrw.32 q6, [sp, #16]
    ldrd r1, r3, [sp, #F_CHANNEL_READ] /* and output */
    str r1, [sp, #F_READ]
    ldr r8, [r6, #PAIRS]
    str r8, [sp, #F_PAIRS]
6:  /* A pair of lines. */
    ldr r11, [r6, #TABLE]
    ldr r5, [sp, #F_TABLE_TAIL]
    cmp r11, r5
    beq 8f
7:
    products \stride
    finish_outputs \relu
    vstrb.16 q7, [r3, q6]
    cmp r11, r5
    bne 7b
8:
    ldr r0, [sp, #F_TAIL_BACK]
    sub r1, r0
    products \stride
    finish_outputs \relu
    vpst
    vstrbt.16 q7, [r3, q6]
    ldr r0, [sp, #F_PAIRS]
    subs r0, #1
    beq 9f
    str r0, [sp, #F_PAIRS]
    ldr r6, [sp, #F_PLANES]
    ldrd r2, r4, [r6, #PAIR_READ]
    cmp r0, #1
    it eq
    ldrdeq r2, r4, [r6, #LAST_READ]
    ldr r1, [sp, #F_READ]
    add r1, r2
    add r3, r4
    str r1, [sp, #F_READ]
    b 6b
9:
    ldr r6, [sp, #F_PLANES]
    ldr r0, [r6, #LINE]
    ldrd r1, r3, [sp, #F_CHANNEL_READ]
    add r1, r0
    add r3, #1
    strd r1, r3, [sp, #F_CHANNEL_READ]
    ldr r0, [sp, #F_CHANNELS]
    subs r0, #1
    str r0, [sp, #F_CHANNELS]
    bne 5b
    ldr r0, [sp, #F_GROUPS]
    subs r0, #1
    str r0, [sp, #F_GROUPS]
    bne 1b
    leave FRAME
    .size \name, . - \name
.endm

    depthwise tyf_mve_depthwise_s1, 1, 0
    depthwise tyf_mve_depthwise_s1_relu, 1, 1
    depthwise tyf_mve_depthwise_s2, 2, 0
    depthwise tyf_mve_depthwise_s2_relu, 2, 1
    depthwise tyf_mve_depthwise_line, 0, 0
    depthwise tyf_mve_depthwise_line_relu, 0, 1
