/*
 * DEPTHWISE_CONV_2D 3x3, int8, for cores with the DSP extension. Of four channels at a time the image is taken apart
 * into planes with a border of zero points, so that no tap is ever outside and the taps of a row lie side by side.
 */
#include <stdbool.h>
#include <stddef.h>

#include "tyf/nn/dsp.h"
#include "tyf/nn/fixed.h"

/* Tiles to compute in one plane, in the order in which the assembly copies it to its stack. */
typedef struct {
    int32_t pitch;       /* of the plane */
    int32_t pixel_bytes; /* from one output pixel to the next */
    int32_t row_bytes;   /* from one output row to the next */
    int32_t rows;        /* of tiles */
    int32_t tiles_bytes; /* of outputs, from the first tile of a row to past its last */
    int32_t next_input;  /* from past a row of tiles to the next one */
    int32_t next_output;
} rectangle;

/* clang-format off */

/* r0 plane, r1 output, r2 channel, r3 rectangle. Afterwards r8 .. r12 hold weights, the stack all else by offset. */
#define ENTER                                                                                                          \
    "push {r4-r11, lr}\n"                                                                                              \
    "sub sp, #52\n"                                                                                                    \
    "ldm r2!, {r8-r12}\n"                                                                                              \
    "ldm r2, {r4-r7}\n"                                                                                                \
    "strd r4, r12, [sp, #0]\n"  /* bias, inner2 */                                                                     \
    "strd r5, r6, [sp, #8]\n"   /* multiplier, round */                                                                \
    "str r7, [sp, #16]\n"       /* shift */                                                                            \
    "ldm r3, {r2, r4-r7, r12, lr}\n"                                                                                   \
    "strd r2, r4, [sp, #20]\n"  /* pitch, pixel bytes */                                                               \
    "strd r5, r6, [sp, #28]\n"  /* row bytes, rows left */                                                             \
    "str r7, [sp, #36]\n"       /* tiles bytes */                                                                      \
    "strd r12, lr, [sp, #40]\n" /* next input, next output */                                                          \
    "1:\n"                                                                                                             \
    "ldr r2, [sp, #36]\n"                                                                                              \
    "add r2, r1\n"                                                                                                     \
    "str r2, [sp, #48]\n"       /* where this row of tiles ends */                                                     \
    "2:\n"

#define LEAVE                                                                                                          \
    "ldr r2, [sp, #48]\n"                                                                                              \
    "cmp r1, r2\n"                                                                                                     \
    "bne 2b\n"                                                                                                         \
    "ldrd r2, r3, [sp, #40]\n"                                                                                         \
    "add r0, r2\n"                                                                                                     \
    "add r1, r3\n"                                                                                                     \
    "ldr r2, [sp, #32]\n"                                                                                              \
    "subs r2, #1\n"                                                                                                    \
    "str r2, [sp, #32]\n"                                                                                              \
    "bne 1b\n"                                                                                                         \
    "add sp, #52\n"                                                                                                    \
    "pop {r4-r11, pc}\n"

/* Three taps of an output: the outer two are (0, 2) of `outside`, the middle one is in half `h` of `inside`. */
#define TAPS(sum, outside, outer, h, inside, half, inner)                                                              \
    "smlad " sum ", " outside ", " outer ", " sum "\n"                                                                 \
    "smla" h half " " sum ", " inside ", " inner ", " sum "\n"

/* Two outputs side by side at stride 1, from a row of four inputs, (0, 2) in r2 and (1, 3) in r3. */
#define PAIR_1(left, right, outer, half, inner)                                                                        \
    TAPS(left, "r2", outer, "b", "r3", half, inner)                                                                    \
    TAPS(right, "r3", outer, "t", "r2", half, inner)

#define WIDEN_1                                                                                                        \
    "sxtb16 r3, r2, ror #8\n"                                                                                          \
    "sxtb16 r2, r2\n"

/* The same at stride 2, from a row of five inputs: (0, 2) in r2, (2, 4) in r3 and (1, 3) in r6. */
#define PAIR_2(outer, half, inner)                                                                                     \
    "sxtb16 r6, r2, ror #8\n"                                                                                          \
    "sxtb16 r2, r2\n"                                                                                                  \
    "sxtb16 r3, r3\n"                                                                                                  \
    TAPS("r4", "r2", outer, "b", "r6", half, inner)                                                                    \
    TAPS("r5", "r3", outer, "t", "r6", half, inner)

/* tyf_dsp_requantize_doubled(); r2 multiplier, r3 round, lr shift. */
#define FINISH(sum)                                                                                                    \
    "add r12, r3, " sum ", asr #31\n"                                                                                  \
    "smmlar " sum ", " sum ", r2, r12\n"                                                                               \
    "asr " sum ", " sum ", lr\n"                                                                                       \
    "ssat " sum ", #8, " sum "\n"

/* The same when the output's zero point is -128: what is negative is clamped, however it was rounded. */
#define FINISH_CLAMPED(sum)                                                                                            \
    "smmlar " sum ", " sum ", r2, r3\n"                                                                                \
    "asr " sum ", " sum ", lr\n"                                                                                       \
    "ssat " sum ", #8, " sum "\n"

/* Tiles of two rows by two columns of outputs at stride 1: four rows of four inputs. */
#define TILES_2X2(FINISH)                                                                                              \
    __asm volatile(                                                                                                    \
        ENTER                                                                                                          \
        "ldrd r4, r12, [sp, #0]\n"                                                                                     \
        "ldr lr, [sp, #20]\n"                                                                                          \
        "mov r5, r4\n"                                                                                                 \
        "mov r6, r4\n"                                                                                                 \
        "mov r7, r4\n"                                                                                                 \
        "add r3, r0, lr, lsl #1\n"                                                                                     \
        "ldr r2, [r3, lr]\n"                                                                                           \
        WIDEN_1 PAIR_1("r6", "r7", "r10", "b", "r12")                                                                  \
        "ldr r2, [r0, lr, lsl #1]\n"                                                                                   \
        WIDEN_1 PAIR_1("r4", "r5", "r10", "b", "r12") PAIR_1("r6", "r7", "r9", "t", "r11")                             \
        "ldr r2, [r0, lr]\n"                                                                                           \
        WIDEN_1 PAIR_1("r4", "r5", "r9", "t", "r11") PAIR_1("r6", "r7", "r8", "b", "r11")                              \
        "ldr r2, [r0], #2\n"                                                                                           \
        WIDEN_1 PAIR_1("r4", "r5", "r8", "b", "r11")                                                                   \
        "ldrd r2, r3, [sp, #8]\n"                                                                                      \
        "ldr lr, [sp, #16]\n"                                                                                          \
        FINISH("r4") FINISH("r5") FINISH("r6") FINISH("r7")                                                            \
        "ldrd r2, r3, [sp, #24]\n"                                                                                     \
        "strb r4, [r1]\n"                                                                                              \
        "strb r5, [r1, r2]\n"                                                                                          \
        "strb r6, [r1, r3]\n"                                                                                          \
        "add r3, r2\n"                                                                                                 \
        "strb r7, [r1, r3]\n"                                                                                          \
        "add r1, r1, r2, lsl #1\n"                                                                                     \
        LEAVE)

/* Tiles of two rows by one column at stride 1, for the last column of an odd number. One input more is read. */
#define TILES_2X1(FINISH)                                                                                              \
    __asm volatile(                                                                                                    \
        ENTER                                                                                                          \
        "ldrd r4, r12, [sp, #0]\n"                                                                                     \
        "ldr lr, [sp, #20]\n"                                                                                          \
        "mov r6, r4\n"                                                                                                 \
        "add r3, r0, lr, lsl #1\n"                                                                                     \
        "ldr r2, [r3, lr]\n"                                                                                           \
        WIDEN_1 TAPS("r6", "r2", "r10", "b", "r3", "b", "r12")                                                         \
        "ldr r2, [r0, lr, lsl #1]\n"                                                                                   \
        WIDEN_1 TAPS("r4", "r2", "r10", "b", "r3", "b", "r12") TAPS("r6", "r2", "r9", "b", "r3", "t", "r11")           \
        "ldr r2, [r0, lr]\n"                                                                                           \
        WIDEN_1 TAPS("r4", "r2", "r9", "b", "r3", "t", "r11") TAPS("r6", "r2", "r8", "b", "r3", "b", "r11")            \
        "ldr r2, [r0], #1\n"                                                                                           \
        WIDEN_1 TAPS("r4", "r2", "r8", "b", "r3", "b", "r11")                                                          \
        "ldrd r2, r3, [sp, #8]\n"                                                                                      \
        "ldr lr, [sp, #16]\n"                                                                                          \
        FINISH("r4") FINISH("r6")                                                                                      \
        "ldrd r2, r3, [sp, #24]\n"                                                                                     \
        "strb r6, [r1, r3]\n"                                                                                          \
        "strb r4, [r1]\n"                                                                                              \
        "add r1, r2\n"                                                                                                 \
        LEAVE)

/* Tiles of two outputs side by side at stride 2: three rows of five inputs, and one byte more that does not count. */
#define TILES_1X2(FINISH)                                                                                              \
    __asm volatile(                                                                                                    \
        ENTER                                                                                                          \
        "ldrd r4, r12, [sp, #0]\n"                                                                                     \
        "ldr lr, [sp, #20]\n"                                                                                          \
        "mov r5, r4\n"                                                                                                 \
        "add r7, r0, lr, lsl #1\n"                                                                                     \
        "ldr r2, [r7]\n"                                                                                               \
        "ldr r3, [r7, #2]\n"                                                                                           \
        PAIR_2("r10", "b", "r12")                                                                                      \
        "add r7, r0, lr\n"                                                                                             \
        "ldr r2, [r7]\n"                                                                                               \
        "ldr r3, [r7, #2]\n"                                                                                           \
        PAIR_2("r9", "t", "r11")                                                                                       \
        "ldr r3, [r0, #2]\n"                                                                                           \
        "ldr r2, [r0], #4\n"                                                                                           \
        PAIR_2("r8", "b", "r11")                                                                                       \
        "ldrd r2, r3, [sp, #8]\n"                                                                                      \
        "ldr lr, [sp, #16]\n"                                                                                          \
        FINISH("r4") FINISH("r5")                                                                                      \
        "ldr r2, [sp, #24]\n"                                                                                          \
        "strb r4, [r1]\n"                                                                                              \
        "strb r5, [r1, r2]\n"                                                                                          \
        "add r1, r1, r2, lsl #1\n"                                                                                     \
        LEAVE)

#define DEFINE(name, body)                                                                                             \
    __attribute__((naked, noinline)) static void name(const int8_t *plane, int8_t *output,                             \
                                                      const tyf_dsp_depthwise3x3 *channel, const rectangle *where) {   \
        (void)plane;                                                                                                   \
        (void)output;                                                                                                  \
        (void)channel;                                                                                                 \
        (void)where;                                                                                                   \
        body;                                                                                                          \
    }

DEFINE(tiles_2x2, TILES_2X2(FINISH))
DEFINE(tiles_2x1, TILES_2X1(FINISH))
DEFINE(tiles_1x2, TILES_1X2(FINISH))
DEFINE(clamped_tiles_2x2, TILES_2X2(FINISH_CLAMPED))
DEFINE(clamped_tiles_2x1, TILES_2X1(FINISH_CLAMPED))
DEFINE(clamped_tiles_1x2, TILES_1X2(FINISH_CLAMPED))

/* clang-format on */

/* The assembly of one rounding. */
typedef void compute_fn(const int8_t *plane, int8_t *output, const tyf_dsp_depthwise3x3 *channel,
                        const rectangle *where);
typedef struct {
    compute_fn *tiles_2x2, *tiles_2x1, *tiles_1x2;
} assembly;

/* `rows` by `columns` tiles of `tile_w` outputs side by side, from output (y, x) on. */
static void compute_tiles(const tyf_window *win, compute_fn *compute, int32_t tile_w, const int8_t *plane,
                          int32_t pixel_bytes, const tyf_dsp_depthwise3x3 *channel, int32_t y, int32_t x, int32_t rows,
                          int32_t columns, int8_t *output) {
    const int32_t stride = win->stride_h;
    const int32_t pitch = TYF_DEPTHWISE3X3_DSP_SPAN(win->output_w, stride);
    const int32_t row_bytes = win->output_w * pixel_bytes;
    const int32_t tiles_bytes = tile_w * columns * pixel_bytes;
    const rectangle where = {
        .pitch = pitch,
        .pixel_bytes = pixel_bytes,
        .row_bytes = row_bytes,
        .rows = rows,
        .tiles_bytes = tiles_bytes,
        .next_input = 2 * pitch - tile_w * stride * columns,
        .next_output = (3 - stride) * row_bytes - tiles_bytes,
    };
    compute(plane + stride * (y * pitch + x), output + y * row_bytes + x * pixel_bytes, channel, &where);
}

/* All outputs of one channel; what an odd number leaves over is computed together with its neighbours again. */
static void compute_plane(const tyf_window *win, const assembly *with, const int8_t *plane, int32_t pixel_bytes,
                          const tyf_dsp_depthwise3x3 *channel, int8_t *output) {
    const bool is_dense = win->stride_h == 1;
    const int32_t tile_h = is_dense ? 2 : 1, h = win->output_h, w = win->output_w;
    compute_fn *compute = is_dense ? with->tiles_2x2 : with->tiles_1x2;
    compute_tiles(win, compute, 2, plane, pixel_bytes, channel, 0, 0, h / tile_h, w / 2, output);
    if (h % tile_h != 0) {
        compute_tiles(win, compute, 2, plane, pixel_bytes, channel, h - 2, 0, 1, w / 2, output);
    }
    if (w % 2 != 0) {
        const int32_t tile_w = is_dense ? 1 : 2;
        compute_fn *compute_last = is_dense ? with->tiles_2x1 : with->tiles_1x2;
        compute_tiles(win, compute_last, tile_w, plane, pixel_bytes, channel, 0, w - tile_w, h / tile_h, 1, output);
        if (h % tile_h != 0) {
            compute_tiles(win, compute_last, tile_w, plane, pixel_bytes, channel, h - 2, w - tile_w, 1, 1, output);
        }
    }
}

__attribute__((noinline)) static void convolve(const tyf_depthwise_conv2d_s8_params *p, const int8_t *input,
                                               const tyf_dsp_depthwise3x3 *channels, const assembly *with,
                                               void *scratch, int8_t *output) {
    const tyf_window *win = &p->window;
    const int32_t height = TYF_DEPTHWISE3X3_DSP_SPAN(win->output_h, win->stride_h);
    const int32_t pitch = TYF_DEPTHWISE3X3_DSP_SPAN(win->output_w, win->stride_h);
    const int32_t plane_bytes = height * pitch;
    /* What windows reach of the image. */
    const int32_t rows = tyf_smaller(win->input_h, height - win->pad_h);
    const int32_t columns = tyf_smaller(win->input_w, pitch - win->pad_w);
    int8_t *planes = scratch;
    memset(planes, (int)(uint8_t)(-p->input_offset), (size_t)(4 * plane_bytes));
    for (int32_t c = 0; c < p->input_c; c += 4) {
        int8_t *inside = planes + win->pad_h * pitch + win->pad_w;
        for (int32_t y = 0; y < rows; y++) {
            tyf_take_apart(input + y * win->input_w * p->input_c + c, p->input_c, columns, plane_bytes,
                           inside + y * pitch);
        }
        for (int32_t i = 0; i < 4; i++) {
            compute_plane(win, with, planes + i * plane_bytes, p->input_c, channels + c + i, output + c + i);
        }
    }
    tyf_dsp_clamp(output, win->output_h * win->output_w * p->input_c, p->activation_min, p->activation_max);
}

void tyf_depthwise3x3_s8_dsp(const tyf_depthwise_conv2d_s8_params *p, const int8_t *input,
                             const tyf_dsp_depthwise3x3 *channels, void *scratch, int8_t *output) {
    static const assembly with = {tiles_2x2, tiles_2x1, tiles_1x2};
    convolve(p, input, channels, &with, scratch, output);
}

void tyf_depthwise3x3_clamped_s8_dsp(const tyf_depthwise_conv2d_s8_params *p, const int8_t *input,
                                     const tyf_dsp_depthwise3x3 *channels, void *scratch, int8_t *output) {
    static const assembly with = {clamped_tiles_2x2, clamped_tiles_2x1, clamped_tiles_1x2};
    convolve(p, input, channels, &with, scratch, output);
}
