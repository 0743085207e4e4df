/**
 * Kernels for ARMv6-M cores (Cortex-M0, M0+): the same bytes as those of kernels.h from weights and tables that the
 * compiler packed. It sees to their bounds (codegen/tinyfleet_codegen/kernels/v6m): products are summed in 16-bit lanes
 * as long as the weights allow, and every channel's requantisation is proven.
 *
 * `channels` holds for each output channel, 32 bits each: start value of its sums, limit, offset, high, low; in kernels
 * that are named *_knee_*: start, limit, knee, offset below the knee, offset, high, low. What they mean:
 * kernels/v6m/requantization.py.
 */
#ifndef TYF_NN_KERNELS_V6M_H
#define TYF_NN_KERNELS_V6M_H

#include "tyf/nn/kernels.h"

/**
 * @param weights   int8, filters in blocks of eight that alternate byte by byte; the first block is filled up at its
 * front; depth is filled up to an even number with zeros
 * @param schedule  per filter and group of 2 to 10 products the distance to jump, see conv2d_block_v6m.S
 * @param scratch   TYF_CONV2D_V6M_SCRATCH_BYTES(depth, input_c, output_c), 4-byte aligned; depth = kernel_h * kernel_w
 * * input_c
 *
 * One group.
 */
void tyf_conv2d_s8_v6m(const tyf_conv2d_s8_params *params, const int8_t *input, const uint32_t *weights,
                       const uint8_t *schedule, const int32_t *channels, void *scratch, int8_t *output);
void tyf_conv2d_knee_s8_v6m(const tyf_conv2d_s8_params *params, const int8_t *input, const uint32_t *weights,
                            const uint8_t *schedule, const int32_t *channels, void *scratch, int8_t *output);

#define TYF_CONV2D_V6M_SCRATCH_BYTES(depth, input_c, output_c) (8 * ((depth) + 1) + 8 + (input_c) + 4 * (output_c))

/**
 * Depthwise 3x3, stride 1 in both directions or (_s2) 2, no dilation, one output channel per input channel.
 *
 * @param records  [input_c], eight words each, see depthwise_3x3_v6m.S
 * @param scratch  TYF_DEPTHWISE_3X3_V6M_SCRATCH_BYTES(output_w), 4-byte aligned
 */
void tyf_depthwise_conv2d_3x3_s8_v6m(const tyf_depthwise_conv2d_s8_params *params, const int8_t *input,
                                     const uint32_t *records, void *scratch, int8_t *output);
void tyf_depthwise_conv2d_3x3_s2_s8_v6m(const tyf_depthwise_conv2d_s8_params *params, const int8_t *input,
                                        const uint32_t *records, void *scratch, int8_t *output);

#define TYF_DEPTHWISE_3X3_V6M_SCRATCH_BYTES(output_w) (36 * (((output_w) + 1) / 2) + 24)

/**
 * Depthwise of any window, one output channel per input channel; channels have a knee.
 *
 * @param weights  [input_c, kernel_h * kernel_w]
 * @param scratch  input_c bytes
 */
void tyf_depthwise_conv2d_s8_v6m(const tyf_depthwise_conv2d_s8_params *params, const int8_t *input,
                                 const int8_t *weights, const int32_t *channels, void *scratch, int8_t *output);

#define TYF_DEPTHWISE_V6M_MAX_TAPS 25

/**
 * Dense layer.
 *
 * @param weights   weight + 128 as bytes; for each eight units and input, two words; units are filled up with 128
 * @param schedule  for each eight units the lengths of its groups of products and 0, see fully_connected_block_v6m.S
 * @param starts    [units rounded up to 8] start values of the sums
 * @param scalings  limit, knee, offset below the knee, offset, high, low: of each unit, or (_shared) once for all
 */
void tyf_fully_connected_s8_v6m(const tyf_fully_connected_s8_params *params, const int8_t *input,
                                const uint32_t *weights, const uint8_t *schedule, const int32_t *starts,
                                const int32_t *scalings, int8_t *output);
void tyf_fully_connected_shared_s8_v6m(const tyf_fully_connected_s8_params *params, const int8_t *input,
                                       const uint32_t *weights, const uint8_t *schedule, const int32_t *starts,
                                       const int32_t *scalings, int8_t *output);

typedef struct {
    int32_t count;
    int32_t a_multiplier, b_multiplier;
    int32_t offset;
    int32_t activation_min, activation_max;
} tyf_sum_s8_v6m_params;

/** ADD or SUB without broadcast; output may be an input. */
void tyf_sum_s8_v6m(const tyf_sum_s8_v6m_params *params, const int8_t *a, const int8_t *b, int8_t *output);

#endif
