/**
 * Kernels for cores with Helium (Cortex-M55, M85): the same bytes as those of kernels.h from weights and tables that
 * the compiler packed. It sees to their bounds (codegen/tinyfleet_codegen/kernels/mve): in every channel
 * |bias| + 255 * sum |weights| < 2^30 and a shift to the right of 1 .. 22.
 */
#ifndef TYF_NN_KERNELS_MVE_H
#define TYF_NN_KERNELS_MVE_H

#include "tyf/nn/kernels.h"
#include "tyf/nn/kernels_dsp.h" /* a core with Helium has the DSP extension too */

/** Pixels whose windows are copied at a time. */
#define TYF_MVE_COLUMNS 16

/** Scratch memory of a convolution; depth = kernel_h * kernel_w * input_c. */
#define TYF_CONV2D_MVE_SCRATCH_BYTES(depth, output_c)                                                                  \
    (TYF_MVE_COLUMNS * (((depth) + 15) / 16 * 16 + ((output_c) % 4 == 0 ? 0 : ((output_c) + 3) / 4 * 4)))

/**
 * 2-D convolution without groups and dilation. `_relu`: the output's zero point is -128. `_deep`: depth above 128.
 *
 * @param stream   per four filters, 3 and 2, then 1 and 0: bias four times each, 16 weights each for every 16 of the
 *                 depth (padded with zeros), multiplier, round and 24 - shift each; see conv2d_tile_mve.S
 * @param scratch  TYF_CONV2D_MVE_SCRATCH_BYTES; 16-byte aligned
 */
void tyf_conv2d_s8_mve(const tyf_conv2d_s8_params *params, const int8_t *input, const uint32_t *stream, void *scratch,
                       int8_t *output);
void tyf_conv2d_relu_s8_mve(const tyf_conv2d_s8_params *params, const int8_t *input, const uint32_t *stream,
                            void *scratch, int8_t *output);
void tyf_conv2d_deep_s8_mve(const tyf_conv2d_s8_params *params, const int8_t *input, const uint32_t *stream,
                            void *scratch, int8_t *output);
void tyf_conv2d_deep_relu_s8_mve(const tyf_conv2d_s8_params *params, const int8_t *input, const uint32_t *stream,
                                 void *scratch, int8_t *output);

/** Bytes of a line of one plane, and lines, for 3x3 windows at `output` places; TYF_DEPTHWISE3X3_MVE_LINE_LIMIT bounds. */
#define TYF_DEPTHWISE3X3_MVE_LINE_BYTES(output, stride) (((output) + 3) / 4 * 4 * (stride) + 2)
#define TYF_DEPTHWISE3X3_MVE_LINES(output, stride) ((output) * (stride) + 2)
#define TYF_DEPTHWISE3X3_MVE_LINE_LIMIT 84

/** Scratch memory; u is the axis along the lines, see `columns_across`. */
#define TYF_DEPTHWISE3X3_MVE_SCRATCH_BYTES(output_u, output_v, stride)                                                 \
    (((output_u) + 3) / 4 * 16 + 4 * TYF_DEPTHWISE3X3_MVE_LINE_BYTES(output_u, stride) *                               \
                                     TYF_DEPTHWISE3X3_MVE_LINES(output_v, stride))

/**
 * 3x3 depthwise convolution with stride 1 or 2, no dilation, multiplier 1, channels a multiple of 4. At least two outputs
 * across the lines. `_relu`: the output's zero point is -128.
 *
 * @param columns_across  0: lines run along the rows of the image; 1: along its columns. Two outputs across the lines lie
 *                        in 65,536 bytes.
 * @param stream          per channel 9 words: 0, three rows of weights as bytes 0 .. 2, 0, multiplier, round, 24 - shift,
 *                        bias
 * @param scratch         TYF_DEPTHWISE3X3_MVE_SCRATCH_BYTES; 16-byte aligned
 */
void tyf_depthwise3x3_s1_s8_mve(const tyf_depthwise_conv2d_s8_params *params, int32_t columns_across,
                                const int8_t *input, const uint32_t *stream, void *scratch, int8_t *output);
void tyf_depthwise3x3_s1_relu_s8_mve(const tyf_depthwise_conv2d_s8_params *params, int32_t columns_across,
                                     const int8_t *input, const uint32_t *stream, void *scratch, int8_t *output);
void tyf_depthwise3x3_s2_s8_mve(const tyf_depthwise_conv2d_s8_params *params, int32_t columns_across,
                                const int8_t *input, const uint32_t *stream, void *scratch, int8_t *output);
void tyf_depthwise3x3_s2_relu_s8_mve(const tyf_depthwise_conv2d_s8_params *params, int32_t columns_across,
                                     const int8_t *input, const uint32_t *stream, void *scratch, int8_t *output);

#endif
