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

/** An even number of products, as groups have at least two. */
#define TYF_V6M_EVEN(depth) (((depth) + 1) / 2 * 2)

#define TYF_CONV2D_V6M_SCRATCH_BYTES(depth, input_c, output_c) (8 * ((depth) + 1) + 8 + (input_c) + 4 * (output_c))

/**
 * Convolution of one group.
 *
 * @param input     [input_h, input_w, input_c]
 * @param weights   [(output_c + 7) / 8, 2 * TYF_V6M_EVEN(kernel_h * kernel_w * input_c)]; int8, filters in blocks of
 *                  eight that alternate byte by byte; the first block is filled up at its front; depth is filled up to
 *                  an even number with zeros
 * @param schedule  measured by tyf_conv2d_v6m_schedule_bytes(output_c, TYF_V6M_EVEN(kernel_h * kernel_w * input_c))
 * @param channels  [output_c, 5]
 * @param scratch   [TYF_CONV2D_V6M_SCRATCH_BYTES(kernel_h * kernel_w * input_c, input_c, output_c)], 4-byte aligned
 * @param output    [output_h, output_w, output_c]
 */
void tyf_conv2d_s8_v6m(const tyf_conv2d_s8_params *params, const int8_t *input, const uint32_t *weights,
                       const uint8_t *schedule, const int32_t *channels, void *scratch, int8_t *output);

/**
 * The same where negative sums are not clamped away.
 *
 * @param input     [input_h, input_w, input_c]
 * @param weights   [(output_c + 7) / 8, 2 * TYF_V6M_EVEN(kernel_h * kernel_w * input_c)]
 * @param schedule  measured by tyf_conv2d_v6m_schedule_bytes(output_c, TYF_V6M_EVEN(kernel_h * kernel_w * input_c))
 * @param channels  [output_c, 7]
 * @param scratch   [TYF_CONV2D_V6M_SCRATCH_BYTES(kernel_h * kernel_w * input_c, input_c, output_c)], 4-byte aligned
 * @param output    [output_h, output_w, output_c]
 */
void tyf_conv2d_knee_s8_v6m(const tyf_conv2d_s8_params *params, const int8_t *input, const uint32_t *weights,
                            const uint8_t *schedule, const int32_t *channels, void *scratch, int8_t *output);

/**
 * Size of a schedule: per filter and group of 2 to 10 products the distance to jump, see conv2d_block_v6m.S.
 *
 * @return bytes that `filters` filters of `depth` (even) products read; 0: it would jump elsewhere, or end after
 * `bytes`
 */
uint32_t tyf_conv2d_v6m_schedule_bytes(const uint8_t *schedule, uint32_t bytes, uint32_t filters, uint32_t depth);

#define TYF_DEPTHWISE_3X3_V6M_SCRATCH_BYTES(length) (36 * (((length) + 1) / 2) + 24)

/** Whether stride 1 takes columns for rows; then the records' weights are transposed. */
#define TYF_DEPTHWISE_3X3_V6M_IS_TURNED(input_h, input_w, output_w) ((input_w) < (input_h) && (input_w) == (output_w))

/* The same for contracts, 1 or 0, and how many outputs then lie in a row. */
#define TYF_DEPTHWISE_3X3_V6M_TURNED(input_h, input_w, output_w)                                                       \
    ((1 - zero(max(input_w, input_h) - (input_w))) * zero(max(input_w, output_w) - min(input_w, output_w)))
#define TYF_DEPTHWISE_3X3_V6M_LENGTH(turned, output_h, output_w) ((turned) * (output_h) + (1 - (turned)) * (output_w))

/**
 * Depthwise 3x3, stride 1 in both directions, no dilation, one output channel per input channel.
 *
 * @param input    [input_h, input_w, input_c]
 * @param records  [input_c, 8], see depthwise_3x3_v6m.S
 * @param scratch  [TYF_DEPTHWISE_3X3_V6M_SCRATCH_BYTES(TYF_DEPTHWISE_3X3_V6M_LENGTH(
 *                 TYF_DEPTHWISE_3X3_V6M_TURNED(input_h, input_w, output_w), output_h, output_w))], 4-byte aligned
 * @param output   [output_h, output_w, input_c]
 * @require pad_h <= 1 && input_h + 2 * pad_h == output_h + 2
 * @require kernel_h == 3 && kernel_w == 3 && stride_h == 1 && stride_w == 1 && dilation_h == 1 && dilation_w == 1
 * @require depth_multiplier == 1 && pad_w <= 1 && input_w + 2 * pad_w == output_w + 2
 */
void tyf_depthwise_conv2d_3x3_s8_v6m(const tyf_depthwise_conv2d_s8_params *params, const int8_t *input,
                                     const uint32_t *records, void *scratch, int8_t *output);

/**
 * The same with stride 2.
 *
 * @param input    [input_h, input_w, input_c]
 * @param records  [input_c, 8]
 * @param scratch  [TYF_DEPTHWISE_3X3_V6M_SCRATCH_BYTES(output_w)], 4-byte aligned
 * @param output   [output_h, output_w, input_c]
 * @require kernel_h == 3 && kernel_w == 3 && stride_h == 2 && stride_w == 2 && dilation_h == 1 && dilation_w == 1
 * @require depth_multiplier == 1 && pad_w <= 1
 */
void tyf_depthwise_conv2d_3x3_s2_s8_v6m(const tyf_depthwise_conv2d_s8_params *params, const int8_t *input,
                                        const uint32_t *records, void *scratch, int8_t *output);

#define TYF_DEPTHWISE_V6M_MAX_TAPS 25

/**
 * Depthwise of any window, one output channel per input channel; channels have a knee.
 *
 * @param input     [input_h, input_w, input_c]
 * @param weights   [input_c, kernel_h * kernel_w]
 * @param channels  [input_c, 7]
 * @param scratch   [input_c]
 * @param output    [output_h, output_w, input_c]
 * @require depth_multiplier == 1 && kernel_h * kernel_w <= TYF_DEPTHWISE_V6M_MAX_TAPS
 */
void tyf_depthwise_conv2d_s8_v6m(const tyf_depthwise_conv2d_s8_params *params, const int8_t *input,
                                 const int8_t *weights, const int32_t *channels, void *scratch, int8_t *output);

/**
 * Dense layer.
 *
 * @param input     [rows, depth]
 * @param weights   [(units + 7) / 8, depth, 2]; weight + 128 as bytes; for each eight units and input, two words; units
 *                  are filled up with 128
 * @param schedule  measured by tyf_dense_v6m_schedule_bytes((units + 7) / 8, depth)
 * @param starts    [(units + 7) / 8 * 8] start values of the sums
 * @param scalings  [units, 6]; limit, knee, offset below the knee, offset, high, low of each unit
 * @param output    [rows, units]
 */
void tyf_fully_connected_s8_v6m(const tyf_fully_connected_s8_params *params, const int8_t *input,
                                const uint32_t *weights, const uint8_t *schedule, const int32_t *starts,
                                const int32_t *scalings, int8_t *output);

/**
 * The same with one scale for all units.
 *
 * @param input     [rows, depth]
 * @param weights   [(units + 7) / 8, depth, 2]
 * @param schedule  measured by tyf_dense_v6m_schedule_bytes((units + 7) / 8, depth)
 * @param starts    [(units + 7) / 8 * 8]
 * @param scalings  [6]
 * @param output    [rows, units]
 */
void tyf_fully_connected_shared_s8_v6m(const tyf_fully_connected_s8_params *params, const int8_t *input,
                                       const uint32_t *weights, const uint8_t *schedule, const int32_t *starts,
                                       const int32_t *scalings, int8_t *output);

/**
 * Size of a schedule: for each block of eight units the lengths of its groups of products and 0, see
 * fully_connected_block_v6m.S.
 *
 * @return bytes that `blocks` blocks of `depth` products read; 0: the groups do not add up, or end after `bytes`
 */
uint32_t tyf_dense_v6m_schedule_bytes(const uint8_t *schedule, uint32_t bytes, uint32_t blocks, uint32_t depth);

typedef struct {
    int32_t count;
    int32_t a_multiplier, b_multiplier;
    int32_t offset;
    int32_t activation_min, activation_max;
} tyf_sum_s8_v6m_params;

/**
 * ADD or SUB without broadcast.
 *
 * @param a       [count]
 * @param b       [count]
 * @param output  [count]; may be an input
 */
void tyf_sum_s8_v6m(const tyf_sum_s8_v6m_params *params, const int8_t *a, const int8_t *b, int8_t *output);

#endif
