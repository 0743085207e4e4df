/**
 * Kernels for cores with Helium (Cortex-M55, M85): the same bytes as those of kernels.h from weights and tables that
 * the compiler packed. It sees to their bounds (codegen/tinyfleet_codegen/kernels/mve): in every channel
 * |bias| + 255 * sum |weights| < 2^30 and a shift to the right of 1 .. 22.
 */
#ifndef TYF_NN_KERNELS_MVE_H
#define TYF_NN_KERNELS_MVE_H

#include "tyf/nn/kernels.h"
#include "tyf/nn/kernels_dsp.h" /* a core with Helium has the DSP extension too */

/** Pixels that are written word by word to memory of their own at a time. */
#define TYF_MVE_TILE_PIXELS 16

/** Pixels whose windows are copied at a time, for a depth rounded up to 16: not many, but 2 KB of them. */
#define TYF_MVE_COLUMNS(padded_depth) (TYF_MVE_TILE_PIXELS * (128 / (padded_depth) > 1 ? 128 / (padded_depth) : 1))

/** Scratch memory of a convolution; depth = kernel_h * kernel_w * input_c. */
#define TYF_CONV2D_MVE_SCRATCH_BYTES(depth, output_c)                                                                  \
    (TYF_MVE_COLUMNS(((depth) + 15) / 16 * 16) * (((depth) + 15) / 16 * 16) +                                          \
     ((output_c) % 4 == 0 ? 0 : TYF_MVE_TILE_PIXELS * (((output_c) + 3) / 4 * 4)))

/*
 * What blobs are checked against, in terms that contracts know: no scratch memory where a convolution reads and writes
 * its pixels where they are, else TYF_CONV2D_MVE_SCRATCH_BYTES.
 */
#define TYF_CONV2D_MVE_IN_PLACE(window, stride, pixels, input_c, output_c)                                             \
    (zero((window) * (stride) - 1) * min(1, (pixels) / 4) * zero((input_c) % 16) * zero((output_c) % 4))
#define TYF_CONV2D_MVE_TOUCHED(window, stride, pixels, input_c, output_c)                                              \
    ((1 - TYF_CONV2D_MVE_IN_PLACE(window, stride, pixels, input_c, output_c)) * TYF_MVE_TILE_PIXELS *                  \
     (max(1, 128 / TYF_DSP_UP((window) * (input_c), 16)) * TYF_DSP_UP((window) * (input_c), 16) +                      \
      (1 - zero((output_c) % 4)) * TYF_DSP_UP(output_c, 4)))

/**
 * 2-D convolution without groups and dilation, depth at most 128. The stream holds per four filters, 3 and 2, then 1
 * and 0: bias four times each, 16 weights each for every 16 of the depth (padded with zeros), multiplier, round and 24
 * - shift each; see conv2d_tile_mve.S.
 *
 * @param input    [input_h, input_w, input_c]
 * @param stream   [(output_c + 3) / 4, 28 + TYF_DSP_UP(kernel_h * kernel_w * input_c, 16)]
 * @param scratch  [TYF_CONV2D_MVE_TOUCHED(kernel_h * kernel_w, stride_h * stride_w, output_h * output_w, input_c,
 *                 output_c)] or NULL, 16-byte aligned
 * @param output   [output_h, output_w, output_c]
 * @require dilation_h == 1 && dilation_w == 1 && kernel_h * kernel_w * input_c <= 128
 */
void tyf_conv2d_s8_mve(const tyf_conv2d_s8_params *params, const int8_t *input, const uint32_t *stream, void *scratch,
                       int8_t *output);

/**
 * The same when the output's zero point is -128.
 *
 * @param input    [input_h, input_w, input_c]
 * @param stream   [(output_c + 3) / 4, 28 + TYF_DSP_UP(kernel_h * kernel_w * input_c, 16)]
 * @param scratch  [TYF_CONV2D_MVE_TOUCHED(kernel_h * kernel_w, stride_h * stride_w, output_h * output_w, input_c,
 *                 output_c)] or NULL, 16-byte aligned
 * @param output   [output_h, output_w, output_c]
 * @require dilation_h == 1 && dilation_w == 1 && kernel_h * kernel_w * input_c <= 128 && output_offset == -128
 */
void tyf_conv2d_relu_s8_mve(const tyf_conv2d_s8_params *params, const int8_t *input, const uint32_t *stream,
                            void *scratch, int8_t *output);

/**
 * The same for a depth above 128.
 *
 * @param input    [input_h, input_w, input_c]
 * @param stream   [(output_c + 3) / 4, 28 + TYF_DSP_UP(kernel_h * kernel_w * input_c, 16)]
 * @param scratch  [TYF_CONV2D_MVE_TOUCHED(kernel_h * kernel_w, stride_h * stride_w, output_h * output_w, input_c,
 *                 output_c)] or NULL, 16-byte aligned
 * @param output   [output_h, output_w, output_c]
 * @require dilation_h == 1 && dilation_w == 1 && kernel_h * kernel_w * input_c > 128
 */
void tyf_conv2d_deep_s8_mve(const tyf_conv2d_s8_params *params, const int8_t *input, const uint32_t *stream,
                            void *scratch, int8_t *output);

/**
 * The same for a depth above 128 and a zero point of -128.
 *
 * @param input    [input_h, input_w, input_c]
 * @param stream   [(output_c + 3) / 4, 28 + TYF_DSP_UP(kernel_h * kernel_w * input_c, 16)]
 * @param scratch  [TYF_CONV2D_MVE_TOUCHED(kernel_h * kernel_w, stride_h * stride_w, output_h * output_w, input_c,
 *                 output_c)] or NULL, 16-byte aligned
 * @param output   [output_h, output_w, output_c]
 * @require dilation_h == 1 && dilation_w == 1 && kernel_h * kernel_w * input_c > 128 && output_offset == -128
 */
void tyf_conv2d_deep_relu_s8_mve(const tyf_conv2d_s8_params *params, const int8_t *input, const uint32_t *stream,
                                 void *scratch, int8_t *output);

/** Most rows of a window by blocks of 16 channels. */
#define TYF_MVE_SEGMENTS 24

/** Columns of the input under a row of the output, three wide windows. */
#define TYF_CONV2D_ROWS_MVE_COLUMNS(output_w, stride_w) (((output_w) - 1) * (stride_w) + 3)

/** Scratch memory: three rows and one of zero points. */
#define TYF_CONV2D_ROWS_MVE_SCRATCH_BYTES(input_c, output_w, stride_w)                                                 \
    (64 * (((input_c) + 15) / 16) * TYF_CONV2D_ROWS_MVE_COLUMNS(output_w, stride_w))

/**
 * 3x3 convolution with stride 1, without groups and dilation. The stream holds per four filters, 3 and 2, then 1 and 0:
 * bias four times each; for each row of the window and every 16 channels (padded with zeros) 16 weights of each at the
 * first, the second, the third column; multiplier, round and 24 - shift each.
 *
 * @param input    [input_h, input_w, input_c]
 * @param stream   [output_c / 4, 28 + 144 * ((input_c + 15) / 16)]
 * @param scratch  [TYF_CONV2D_ROWS_MVE_SCRATCH_BYTES(input_c, output_w, 1)], 16-byte aligned
 * @param output   [output_h, output_w, output_c]
 * @require kernel_h == 3 && kernel_w == 3 && stride_h == 1 && stride_w == 1 && dilation_h == 1 && dilation_w == 1
 * @require output_c % 4 == 0 && output_w >= 4 && input_c <= 128
 */
void tyf_conv2d_rows_s1_s8_mve(const tyf_conv2d_s8_params *params, const int8_t *input, const uint32_t *stream,
                               void *scratch, int8_t *output);

/**
 * The same when the output's zero point is -128.
 *
 * @param input    [input_h, input_w, input_c]
 * @param stream   [output_c / 4, 28 + 144 * ((input_c + 15) / 16)]
 * @param scratch  [TYF_CONV2D_ROWS_MVE_SCRATCH_BYTES(input_c, output_w, 1)], 16-byte aligned
 * @param output   [output_h, output_w, output_c]
 * @require kernel_h == 3 && kernel_w == 3 && stride_h == 1 && stride_w == 1 && dilation_h == 1 && dilation_w == 1
 * @require output_c % 4 == 0 && output_w >= 4 && input_c <= 128 && output_offset == -128
 */
void tyf_conv2d_rows_s1_relu_s8_mve(const tyf_conv2d_s8_params *params, const int8_t *input, const uint32_t *stream,
                                    void *scratch, int8_t *output);

/**
 * The same with stride 2.
 *
 * @param input    [input_h, input_w, input_c]
 * @param stream   [output_c / 4, 28 + 144 * ((input_c + 15) / 16)]
 * @param scratch  [TYF_CONV2D_ROWS_MVE_SCRATCH_BYTES(input_c, output_w, 2)], 16-byte aligned
 * @param output   [output_h, output_w, output_c]
 * @require kernel_h == 3 && kernel_w == 3 && stride_h == 2 && stride_w == 2 && dilation_h == 1 && dilation_w == 1
 * @require output_c % 4 == 0 && output_w >= 4 && input_c <= 128
 */
void tyf_conv2d_rows_s2_s8_mve(const tyf_conv2d_s8_params *params, const int8_t *input, const uint32_t *stream,
                               void *scratch, int8_t *output);

/**
 * The same with stride 2 and a zero point of -128.
 *
 * @param input    [input_h, input_w, input_c]
 * @param stream   [output_c / 4, 28 + 144 * ((input_c + 15) / 16)]
 * @param scratch  [TYF_CONV2D_ROWS_MVE_SCRATCH_BYTES(input_c, output_w, 2)], 16-byte aligned
 * @param output   [output_h, output_w, output_c]
 * @require kernel_h == 3 && kernel_w == 3 && stride_h == 2 && stride_w == 2 && dilation_h == 1 && dilation_w == 1
 * @require output_c % 4 == 0 && output_w >= 4 && input_c <= 128 && output_offset == -128
 */
void tyf_conv2d_rows_s2_relu_s8_mve(const tyf_conv2d_s8_params *params, const int8_t *input, const uint32_t *stream,
                                    void *scratch, int8_t *output);

/** Bytes of a line of one plane, and lines, for 3x3 windows at `output` places; TYF_DEPTHWISE3X3_MVE_LINE_LIMIT bounds.
 */
#define TYF_DEPTHWISE3X3_MVE_LINE_BYTES(output, stride) (((output) + 3) / 4 * 4 * (stride) + 2)
#define TYF_DEPTHWISE3X3_MVE_LINES(output, stride) ((output) * (stride) + 2)
#define TYF_DEPTHWISE3X3_MVE_LINE_LIMIT 84

/** Scratch memory; u is the axis along the lines, see `columns_across`. */
#define TYF_DEPTHWISE3X3_MVE_SCRATCH_BYTES(output_u, output_v, stride)                                                 \
    (((output_u) + 3) / 4 * 16 +                                                                                       \
     4 * TYF_DEPTHWISE3X3_MVE_LINE_BYTES(output_u, stride) * TYF_DEPTHWISE3X3_MVE_LINES(output_v, stride))

/** One of two values, by 0 or 1. */
#define TYF_MVE_AXIS(which, first, second) ((1 - (which)) * (first) + (which) * (second))

/**
 * 3x3 depthwise convolution with stride 1, no dilation, multiplier 1, channels a multiple of 4. The stream holds per
 * channel 0, three rows of weights as bytes 0 .. 2, 0, multiplier, round, 24 - shift, bias. At least two outputs across
 * the lines lie in 65,536 bytes.
 *
 * @param columns_across  0: lines run along the rows of the image; 1: along its columns
 * @param input           [input_h, input_w, input_c]
 * @param stream          [input_c, 9]
 * @param scratch         [TYF_DEPTHWISE3X3_MVE_SCRATCH_BYTES(TYF_MVE_AXIS(columns_across, output_w, output_h),
 *                        TYF_MVE_AXIS(columns_across, output_h, output_w), 1)], 16-byte aligned
 * @param output          [output_h, output_w, input_c]
 * @require kernel_h == 3 && kernel_w == 3 && stride_h == 1 && stride_w == 1 && dilation_h == 1
 * @require dilation_w == 1 && input_c % 4 == 0 && depth_multiplier == 1 && columns_across <= 1
 * @require TYF_MVE_AXIS(columns_across, output_h, output_w) >= 2
 * @require TYF_DEPTHWISE3X3_MVE_LINE_BYTES(TYF_MVE_AXIS(columns_across, output_w, output_h), 1) <= 84
 * @require TYF_MVE_AXIS(columns_across, 2 * output_w, output_h * output_w) * input_c <= 65536
 */
void tyf_depthwise3x3_s1_s8_mve(const tyf_depthwise_conv2d_s8_params *params, int32_t columns_across,
                                const int8_t *input, const uint32_t *stream, void *scratch, int8_t *output);

/**
 * The same when the output's zero point is -128.
 *
 * @param columns_across  0: lines run along the rows of the image; 1: along its columns
 * @param input           [input_h, input_w, input_c]
 * @param stream          [input_c, 9]
 * @param scratch         [TYF_DEPTHWISE3X3_MVE_SCRATCH_BYTES(TYF_MVE_AXIS(columns_across, output_w, output_h),
 *                        TYF_MVE_AXIS(columns_across, output_h, output_w), 1)], 16-byte aligned
 * @param output          [output_h, output_w, input_c]
 * @require kernel_h == 3 && kernel_w == 3 && stride_h == 1 && stride_w == 1 && dilation_h == 1
 * @require dilation_w == 1 && input_c % 4 == 0 && depth_multiplier == 1 && columns_across <= 1 && output_offset == -128
 * @require TYF_MVE_AXIS(columns_across, output_h, output_w) >= 2
 * @require TYF_DEPTHWISE3X3_MVE_LINE_BYTES(TYF_MVE_AXIS(columns_across, output_w, output_h), 1) <= 84
 * @require TYF_MVE_AXIS(columns_across, 2 * output_w, output_h * output_w) * input_c <= 65536
 */
void tyf_depthwise3x3_s1_relu_s8_mve(const tyf_depthwise_conv2d_s8_params *params, int32_t columns_across,
                                     const int8_t *input, const uint32_t *stream, void *scratch, int8_t *output);

/**
 * The same with stride 2.
 *
 * @param columns_across  0: lines run along the rows of the image; 1: along its columns
 * @param input           [input_h, input_w, input_c]
 * @param stream          [input_c, 9]
 * @param scratch         [TYF_DEPTHWISE3X3_MVE_SCRATCH_BYTES(TYF_MVE_AXIS(columns_across, output_w, output_h),
 *                        TYF_MVE_AXIS(columns_across, output_h, output_w), 2)], 16-byte aligned
 * @param output          [output_h, output_w, input_c]
 * @require kernel_h == 3 && kernel_w == 3 && stride_h == 2 && stride_w == 2 && dilation_h == 1
 * @require dilation_w == 1 && input_c % 4 == 0 && depth_multiplier == 1 && columns_across <= 1
 * @require TYF_MVE_AXIS(columns_across, output_h, output_w) >= 2
 * @require TYF_DEPTHWISE3X3_MVE_LINE_BYTES(TYF_MVE_AXIS(columns_across, output_w, output_h), 2) <= 84
 * @require TYF_MVE_AXIS(columns_across, 2 * output_w, output_h * output_w) * input_c <= 65536
 */
void tyf_depthwise3x3_s2_s8_mve(const tyf_depthwise_conv2d_s8_params *params, int32_t columns_across,
                                const int8_t *input, const uint32_t *stream, void *scratch, int8_t *output);

/**
 * The same with stride 2 and a zero point of -128.
 *
 * @param columns_across  0: lines run along the rows of the image; 1: along its columns
 * @param input           [input_h, input_w, input_c]
 * @param stream          [input_c, 9]
 * @param scratch         [TYF_DEPTHWISE3X3_MVE_SCRATCH_BYTES(TYF_MVE_AXIS(columns_across, output_w, output_h),
 *                        TYF_MVE_AXIS(columns_across, output_h, output_w), 2)], 16-byte aligned
 * @param output          [output_h, output_w, input_c]
 * @require kernel_h == 3 && kernel_w == 3 && stride_h == 2 && stride_w == 2 && dilation_h == 1
 * @require dilation_w == 1 && input_c % 4 == 0 && depth_multiplier == 1 && columns_across <= 1 && output_offset == -128
 * @require TYF_MVE_AXIS(columns_across, output_h, output_w) >= 2
 * @require TYF_DEPTHWISE3X3_MVE_LINE_BYTES(TYF_MVE_AXIS(columns_across, output_w, output_h), 2) <= 84
 * @require TYF_MVE_AXIS(columns_across, 2 * output_w, output_h * output_w) * input_c <= 65536
 */
void tyf_depthwise3x3_s2_relu_s8_mve(const tyf_depthwise_conv2d_s8_params *params, int32_t columns_across,
                                     const int8_t *input, const uint32_t *stream, void *scratch, int8_t *output);

/** Most weights along a line: four outputs share a load of 16. */
#define TYF_DEPTHWISE_LINE_MVE_TAPS 13

/** Bytes of a line of one plane for windows at `output` places; TYF_DEPTHWISE3X3_MVE_LINE_LIMIT bounds. */
#define TYF_DEPTHWISE_LINE_MVE_LINE_BYTES(output) (((output) + 7) / 8 * 8 + TYF_DEPTHWISE_LINE_MVE_TAPS - 1)

/** Scratch memory; u is the axis along the lines. */
#define TYF_DEPTHWISE_LINE_MVE_SCRATCH_BYTES(output_u, output_v)                                                       \
    (((output_u) + 7) / 8 * 16 + 4 * TYF_DEPTHWISE_LINE_MVE_LINE_BYTES(output_u) * (output_v) + 16)

/**
 * Depthwise convolution of 1 x n or n x 1, stride 1, no dilation, multiplier 1, channels a multiple of 4. The stream
 * holds per channel 0, 16 weights padded with zeros, multiplier, round, 24 - shift, bias. A line of outputs lies in
 * 65,536 bytes.
 *
 * @param columns_across  1 for n x 1
 * @param input           [input_h, input_w, input_c]
 * @param stream          [input_c, 9]
 * @param scratch         [TYF_DEPTHWISE_LINE_MVE_SCRATCH_BYTES(TYF_MVE_AXIS(columns_across, output_w, output_h),
 *                        TYF_MVE_AXIS(columns_across, output_h, output_w))], 16-byte aligned
 * @param output          [output_h, output_w, input_c]
 * @require TYF_MVE_AXIS(columns_across, kernel_h, kernel_w) == 1 && columns_across <= 1
 * @require TYF_MVE_AXIS(columns_across, kernel_w, kernel_h) <= TYF_DEPTHWISE_LINE_MVE_TAPS
 * @require stride_h == 1 && stride_w == 1 && dilation_h == 1 && dilation_w == 1 && input_c % 4 == 0
 * @require depth_multiplier == 1
 * @require TYF_DEPTHWISE_LINE_MVE_LINE_BYTES(TYF_MVE_AXIS(columns_across, output_w, output_h)) <= 84
 * @require TYF_MVE_AXIS(columns_across, output_w, output_h * output_w) * input_c <= 65536
 */
void tyf_depthwise_line_s8_mve(const tyf_depthwise_conv2d_s8_params *params, int32_t columns_across,
                               const int8_t *input, const uint32_t *stream, void *scratch, int8_t *output);

/**
 * The same when the output's zero point is -128.
 *
 * @param columns_across  1 for n x 1
 * @param input           [input_h, input_w, input_c]
 * @param stream          [input_c, 9]
 * @param scratch         [TYF_DEPTHWISE_LINE_MVE_SCRATCH_BYTES(TYF_MVE_AXIS(columns_across, output_w, output_h),
 *                        TYF_MVE_AXIS(columns_across, output_h, output_w))], 16-byte aligned
 * @param output          [output_h, output_w, input_c]
 * @require TYF_MVE_AXIS(columns_across, kernel_h, kernel_w) == 1 && columns_across <= 1
 * @require TYF_MVE_AXIS(columns_across, kernel_w, kernel_h) <= TYF_DEPTHWISE_LINE_MVE_TAPS
 * @require stride_h == 1 && stride_w == 1 && dilation_h == 1 && dilation_w == 1 && input_c % 4 == 0
 * @require depth_multiplier == 1 && output_offset == -128
 * @require TYF_DEPTHWISE_LINE_MVE_LINE_BYTES(TYF_MVE_AXIS(columns_across, output_w, output_h)) <= 84
 * @require TYF_MVE_AXIS(columns_across, output_w, output_h * output_w) * input_c <= 65536
 */
void tyf_depthwise_line_relu_s8_mve(const tyf_depthwise_conv2d_s8_params *params, int32_t columns_across,
                                    const int8_t *input, const uint32_t *stream, void *scratch, int8_t *output);

/** Scratch memory of a dense layer. */
#define TYF_FULLY_CONNECTED_MVE_SCRATCH_BYTES(depth) ((depth) % 16 == 0 ? 0 : ((depth) + 15) / 16 * 16)

/**
 * Dense layer. The stream holds per eight units, in the order 0 2 4 6 1 3 5 7: bias of each, 16 weights of each for
 * every 16 of the depth (padded with zeros), multiplier of each, round of each, 24 - shift of each.
 *
 * @param input    [rows, depth]
 * @param stream   [TYF_DSP_UP(units, 8), 4 + TYF_DSP_UP(depth, 16) / 4]
 * @param scratch  [(1 - zero(depth % 16)) * TYF_DSP_UP(depth, 16)] or NULL
 * @param output   [rows, units]
 */
void tyf_fully_connected_s8_mve(const tyf_fully_connected_s8_params *params, const int8_t *input,
                                const uint32_t *stream, void *scratch, int8_t *output);

/**
 * The same when the output's zero point is -128.
 *
 * @param input    [rows, depth]
 * @param stream   [TYF_DSP_UP(units, 8), 4 + TYF_DSP_UP(depth, 16) / 4]
 * @param scratch  [(1 - zero(depth % 16)) * TYF_DSP_UP(depth, 16)] or NULL
 * @param output   [rows, units]
 * @require output_offset == -128
 */
void tyf_fully_connected_relu_s8_mve(const tyf_fully_connected_s8_params *params, const int8_t *input,
                                     const uint32_t *stream, void *scratch, int8_t *output);

/** ADD of two tensors of one shape; add_elements_mve.S knows the order of the members. */
typedef struct {
    int32_t elements;
    int32_t halved_offset; /**< -zero_point * 2^19 */
    int32_t scaled_offset; /**< -zero_point * 2^20 */
    int32_t scaled_multiplier;
    int32_t scaled_shift; /**< to the left, at most 0 */
    int32_t scaled_sign;  /**< 1 when that rounds, else 0 */
    int32_t multiplier;   /**< of the sum */
    int32_t round;        /**< 2^(shift - 1) + (output_offset << shift) */
    int32_t left;         /**< 24 - shift; shift to the right, 1 .. 22 */
    int32_t activation_min;
    int32_t activation_max;
} tyf_mve_add;

/**
 * @param halved  [elements]; the input of the larger scale, which the arithmetic multiplies by 2^19
 * @param scaled  [elements]; the other input
 * @param output  [elements]; may be one of the inputs
 */
void tyf_add_s8_mve(const tyf_mve_add *params, const int8_t *halved, const int8_t *scaled, int8_t *output);

/**
 * The same when the output's zero point is -128.
 *
 * @param halved  [elements]; the input of the larger scale, which the arithmetic multiplies by 2^19
 * @param scaled  [elements]; the other input
 * @param output  [elements]; may be one of the inputs
 */
void tyf_add_relu_s8_mve(const tyf_mve_add *params, const int8_t *halved, const int8_t *scaled, int8_t *output);

/**
 * Mean of the elements inside the image, ties away from zero.
 *
 * @param input   [input_h, input_w, channels]
 * @param output  [output_h, output_w, channels]
 * @require dilation_h == 1 && dilation_w == 1 && kernel_h * kernel_w <= 255
 */
void tyf_average_pool2d_s8_mve(const tyf_pool2d_s8_params *params, const int8_t *input, int8_t *output);

/**
 * Largest element inside the image.
 *
 * @param input   [input_h, input_w, channels]
 * @param output  [output_h, output_w, channels]
 * @require dilation_h == 1 && dilation_w == 1
 */
void tyf_max_pool2d_s8_mve(const tyf_pool2d_s8_params *params, const int8_t *input, int8_t *output);

#endif
