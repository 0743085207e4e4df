/**
 * Kernels for cores with the DSP extension (Cortex-M4, M7, M33): the same bytes as those of kernels.h from weights and
 * tables that the compiler packed. It sees to their bounds (codegen/tinyfleet_codegen/kernels/dsp): in every channel
 * |bias| + 255 * sum |weights| < 2^30 and a shift in 1 .. 22.
 */
#ifndef TYF_NN_KERNELS_DSP_H
#define TYF_NN_KERNELS_DSP_H

#include "tyf/nn/kernels.h"

/** n rounded up to a multiple of m. */
#define TYF_DSP_UP(n, m) (((n) + ((m) - 1)) / (m) * (m))

/** What one output channel needs, in the order of use. */
typedef struct {
    int32_t bias;
    int32_t multiplier;
    int32_t round; /**< 2^(shift - 1) + (output_offset << shift) */
    int32_t shift; /**< to the right */
} tyf_dsp_channel;

/**
 * One group.
 *
 * @param input     [input_h, input_w, input_c]
 * @param weights   [TYF_DSP_UP(output_c, 2), (kernel_h * kernel_w * input_c + 3) / 4]; per two filters and four
 *                  weights of each, two words; filters and depth padded with zeros
 * @param channels  [TYF_DSP_UP(output_c, 2)]; shift in [0, 31]
 * @param scratch   [TYF_CONV2D_DSP_SCRATCH_BYTES(kernel_h * kernel_w * input_c)], 4-byte aligned
 * @param output    [output_h, output_w, output_c]
 * @require dilation_h == 1 && dilation_w == 1
 */
void tyf_conv2d_wide_s8_dsp(const tyf_conv2d_s8_params *params, const int8_t *input, const uint32_t *weights,
                            const tyf_dsp_channel *channels, void *scratch, int8_t *output);

/**
 * The same with fewer instructions, for sums below 2^23, weights above -128 and an even number of filters.
 *
 * @param input     [input_h, input_w, input_c]
 * @param stream    [output_c / 2, 8 + 2 * ((kernel_h * kernel_w * input_c + 3) / 4)] in the order of use; for each
 *                  two channels: both biases, as 256 * (bias + input_offset * sum of weights) - 127 * sum of w0;
 *                  a word of each, its four weights as two 16-bit numbers 256 * w1 + w0; then multiplier,
 *                  64 + 128 * (2^(shift - 1) + (output_offset << shift)) and 7 + shift of each
 * @param scratch   [TYF_CONV2D_HALVES_DSP_SCRATCH_BYTES(kernel_h * kernel_w * input_c, input_c)], 4-byte aligned
 * @param output    [output_h, output_w, output_c]
 * @require output_c % 2 == 0 && dilation_h == 1 && dilation_w == 1
 */
void tyf_conv2d_s8_dsp(const tyf_conv2d_s8_params *params, const int8_t *input, const uint32_t *stream, void *scratch,
                       int8_t *output);

/**
 * The same with fewer instructions again, for an output whose zero point is -128.
 *
 * @param input     [input_h, input_w, input_c]
 * @param stream    [output_c / 2, 8 + 2 * ((kernel_h * kernel_w * input_c + 3) / 4)] in the order of use; for each
 *                  two channels: both biases, as 256 * (bias + input_offset * sum of weights) - 127 * sum of w0;
 *                  a word of each, its four weights as two 16-bit numbers 256 * w1 + w0; then multiplier,
 *                  64 + 128 * (2^(shift - 1) + (output_offset << shift)) and 7 + shift of each
 * @param scratch   [TYF_CONV2D_HALVES_DSP_SCRATCH_BYTES(kernel_h * kernel_w * input_c, input_c)], 4-byte aligned
 * @param output    [output_h, output_w, output_c]
 * @require output_offset == -128 && output_c % 2 == 0 && dilation_h == 1 && dilation_w == 1
 */
void tyf_conv2d_clamped_s8_dsp(const tyf_conv2d_s8_params *params, const int8_t *input, const uint32_t *stream,
                               void *scratch, int8_t *output);

/** Two widened pixels and one window of bytes. */
#define TYF_CONV2D_DSP_SCRATCH_BYTES(depth) (20 * (((depth) + 3) / 4))

/** Two expanded pixels, and one window of bytes when a pixel has no whole words. */
#define TYF_CONV2D_HALVES_DSP_SCRATCH_BYTES(depth, input_c) ((16 + 4 * (((input_c) % 4 + 2) / 3)) * (((depth) + 3) / 4))

/** Most taps of a kernel that tyf_depthwise_conv2d_s8_dsp() takes. */
#define TYF_DEPTHWISE_DSP_MAX_TAPS 25

/**
 * @param input     [input_h, input_w, input_c]
 * @param weights   [(kernel_h * kernel_w + 1) / 2, input_c]; per four channels and two taps, four words of
 *                  (first tap, second tap) as int16
 * @param channels  [input_c]; shift in [0, 31]
 * @param scratch   [input_c]
 * @param output    [output_h, output_w, input_c]
 * @require input_c % 4 == 0 && depth_multiplier == 1 && kernel_h * kernel_w <= TYF_DEPTHWISE_DSP_MAX_TAPS
 */
void tyf_depthwise_conv2d_s8_dsp(const tyf_depthwise_conv2d_s8_params *params, const int8_t *input,
                                 const uint32_t *weights, const tyf_dsp_channel *channels, void *scratch,
                                 int8_t *output);

/** What one channel of a 3x3 depthwise convolution needs; weights are doubled, two int16 in a word, first one low. */
typedef struct {
    int32_t outer0; /**< left and right weight of the first row */
    int32_t outer1;
    int32_t outer2;
    int32_t inner01; /**< middle weights of the first two rows */
    int32_t inner2;
    int32_t bias; /**< 2 * (bias + input_offset * sum of weights) */
    int32_t multiplier;
    int32_t round;
    int32_t shift;
} tyf_dsp_depthwise3x3;

/**
 * A kernel of 3x3 without dilation, the same stride of 1 or 2 along both axes, at least 2x2 outputs.
 *
 * @param input     [input_h, input_w, input_c]
 * @param channels  [input_c]; shift in [0, 31]
 * @param scratch   [TYF_DEPTHWISE3X3_DSP_SCRATCH_BYTES(output_h, output_w, stride_h)]
 * @param output    [output_h, output_w, input_c]; may be the input
 * @require kernel_h == 3 && kernel_w == 3 && dilation_h == 1 && dilation_w == 1
 * @require 1 <= stride_h <= 2 && stride_h == stride_w && output_h >= 2 && output_w >= 2
 * @require input_c % 4 == 0 && depth_multiplier == 1
 */
void tyf_depthwise3x3_s8_dsp(const tyf_depthwise_conv2d_s8_params *params, const int8_t *input,
                             const tyf_dsp_depthwise3x3 *channels, void *scratch, int8_t *output);

/**
 * The same with fewer instructions, for an output whose zero point is -128.
 *
 * @param input     [input_h, input_w, input_c]
 * @param channels  [input_c]; shift in [0, 31]
 * @param scratch   [TYF_DEPTHWISE3X3_DSP_SCRATCH_BYTES(output_h, output_w, stride_h)]
 * @param output    [output_h, output_w, input_c]; may be the input
 * @require kernel_h == 3 && kernel_w == 3 && dilation_h == 1 && dilation_w == 1
 * @require 1 <= stride_h <= 2 && stride_h == stride_w && output_h >= 2 && output_w >= 2
 * @require output_offset == -128 && input_c % 4 == 0 && depth_multiplier == 1
 */
void tyf_depthwise3x3_clamped_s8_dsp(const tyf_depthwise_conv2d_s8_params *params, const int8_t *input,
                                     const tyf_dsp_depthwise3x3 *channels, void *scratch, int8_t *output);

/** Inputs under a row of n windows. */
#define TYF_DEPTHWISE3X3_DSP_SPAN(n, stride) (((n) - 1) * (stride) + 3)

/** Four planes and what is read past the last. */
#define TYF_DEPTHWISE3X3_DSP_SCRATCH_BYTES(h, w, stride)                                                               \
    (4 * (TYF_DEPTHWISE3X3_DSP_SPAN(h, stride) * TYF_DEPTHWISE3X3_DSP_SPAN(w, stride) + 1))

/**
 * A kernel of one column over an image of one column, of stride 1 without dilation, with at least two outputs: a
 * convolution of each channel in one dimension. (One row over one row has the same bytes.)
 *
 * @param input     [input_h, input_c]
 * @param stream    [input_c, 3 * TYF_DEPTHWISE1D_DSP_WORDS(kernel_h) + 4] in the order of use; for each channel, of
 *                  doubled weights w as pairs of int16, first one low: for each four inputs (w0, w2), (w1, w3),
 *                  (w-1, w1) of the weights that meet them, the last for the next output, as is the first of the
 *                  odd inputs; then 2 * (bias + input_offset * sum of weights), multiplier, round and shift
 * @param scratch   [TYF_DEPTHWISE1D_DSP_SCRATCH_BYTES(output_h, kernel_h)]
 * @param output    [output_h, input_c]; may be the input
 * @require input_w == 1 && kernel_w == 1 && output_w == 1 && output_h >= 2 && stride_h == 1 && dilation_h == 1
 * @require input_c % 4 == 0 && depth_multiplier == 1
 */
void tyf_depthwise1d_s8_dsp(const tyf_depthwise_conv2d_s8_params *params, const int8_t *input, const uint32_t *stream,
                            void *scratch, int8_t *output);

/** Words of inputs that two neighbouring outputs read. */
#define TYF_DEPTHWISE1D_DSP_WORDS(taps) (((taps) + 4) / 4)

/** Four channels, and what is read past the last. */
#define TYF_DEPTHWISE1D_DSP_SCRATCH_BYTES(outputs, taps) (4 * ((outputs) - 2 + 4 * TYF_DEPTHWISE1D_DSP_WORDS(taps)))

/**
 * @param input     [rows, depth]
 * @param weights   [TYF_DSP_UP(units, 4), (depth + 3) / 4]; per four units and four weights of each, four
 *                  words; units and depth padded with zeros
 * @param channels  [TYF_DSP_UP(units, 4)]; shift in [0, 31]
 * @param scratch   [TYF_FULLY_CONNECTED_DSP_SCRATCH_BYTES(depth)], 4-byte aligned; may lie over the input
 * @param output    [rows, units]
 */
void tyf_fully_connected_wide_s8_dsp(const tyf_fully_connected_s8_params *params, const int8_t *input,
                                     const uint32_t *weights, const tyf_dsp_channel *channels, void *scratch,
                                     int8_t *output);

/**
 * The same with fewer instructions, for sums below 2^23 and weights above -128.
 *
 * @param input     [rows, depth]
 * @param weights   [TYF_DSP_UP(units, 4), (depth + 3) / 4] as above, but in halves, like those of
 *                  tyf_conv2d_s8_dsp()
 * @param channels  [TYF_DSP_UP(units, 4)]; bias as there; shift in [0, 31]
 * @param scratch   [TYF_FULLY_CONNECTED_DSP_SCRATCH_BYTES(depth)], 4-byte aligned; may lie over the input
 * @param output    [rows, units]
 */
void tyf_fully_connected_s8_dsp(const tyf_fully_connected_s8_params *params, const int8_t *input,
                                const uint32_t *weights, const tyf_dsp_channel *channels, void *scratch,
                                int8_t *output);

/** One widened input row. */
#define TYF_FULLY_CONNECTED_DSP_SCRATCH_BYTES(depth) (8 * (((depth) + 3) / 4))

/**
 * @param input   [input_h, input_w, channels]
 * @param output  [output_h, output_w, channels]
 * @require channels % 4 == 0 && kernel_h * kernel_w <= 255 && dilation_h == 1 && dilation_w == 1
 */
void tyf_average_pool2d_s8_dsp(const tyf_pool2d_s8_params *params, const int8_t *input, int8_t *output);

/** ADD of two tensors of one shape. */
typedef struct {
    int32_t elements;
    int32_t multiplier; /**< of the sum */
    int32_t round;      /**< 2^(shift - 1) + (output_offset << shift) */
    int32_t shift;      /**< to the right, 1 .. 22 */
    int32_t activation_min;
    int32_t activation_max;
} tyf_dsp_add;

/**
 * @param shifted    [elements]; the input of the larger scale, which the arithmetic multiplies by 2^19
 * @param looked_up  [elements]; the other input
 * @param table      [256] for each value of `looked_up` from -128 on: twice what it is scaled to, plus
 *                   offset of `shifted` * 2^20
 * @param output     [elements]
 * @require shift in [0, 31]
 */
void tyf_add_s8_dsp(const tyf_dsp_add *params, const int8_t *shifted, const int8_t *looked_up, const int32_t *table,
                    int8_t *output);

/** A convolution and the ADD that is the only one to read it. */
typedef struct {
    tyf_conv2d_s8_params conv;
    tyf_dsp_add add;           /**< of two pixels */
    int32_t looks_up_residual; /**< else it is the convolution's output that is looked up */
} tyf_dsp_conv2d_add;

/**
 * tyf_conv2d_s8_dsp() and tyf_add_s8_dsp() together, an even number of pixels, without memory for what lies between
 * them.
 *
 * @param input     [input_h, input_w, input_c]
 * @param stream    [output_c / 2, 8 + 2 * ((kernel_h * kernel_w * input_c + 3) / 4)] as of tyf_conv2d_s8_dsp()
 * @param residual  [output_h, output_w, output_c]; the other input of ADD
 * @param table     [256] as of tyf_add_s8_dsp()
 * @param scratch   [TYF_CONV2D_HALVES_DSP_SCRATCH_BYTES(kernel_h * kernel_w * input_c, input_c) + 2 * output_c], 4-byte
 * aligned
 * @param output    [output_h, output_w, output_c]; may be the residual
 * @require output_c % 2 == 0 && dilation_h == 1 && dilation_w == 1 && output_h * output_w % 2 == 0
 * @require elements == 2 * output_c && shift in [0, 31]
 */
void tyf_conv2d_add_s8_dsp(const tyf_dsp_conv2d_add *params, const int8_t *input, const uint32_t *stream,
                           const int8_t *residual, const int32_t *table, void *scratch, int8_t *output);

/**
 * Dense layer of int16 with int64 sums, as tyf_fully_connected_s16(); a 1x1 convolution is one whose rows are pixels.
 *
 * @param input      [rows, depth]
 * @param weights    [units, (depth + 3) / 4]; of each four weights bytes 0, 2, 1 and 3, padded with zeros
 * @param bias       [units]
 * @param multiplier [units] Q15
 * @param shift      [units] in [8, 46] to the right
 * @param output     [rows, units]
 */
void tyf_fully_connected_s16_dsp(const tyf_fully_connected_s8_params *params, const int16_t *input,
                                 const uint32_t *weights, const int64_t *bias, const int16_t *multiplier,
                                 const int8_t *shift, int16_t *output);

#endif
