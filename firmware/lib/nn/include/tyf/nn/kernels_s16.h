/**
 * int16 inference kernels: int16 activations with zero point 0, int8 weights. Otherwise as those of kernels.h, and
 * where the name of a parameter struct says s8, the parameters are those of the int8 kernel, with offsets of 0.
 *
 *     static const tyf_pool2d_s8_params params = {.window = {...}, .channels = 8, ...};
 *     tyf_max_pool2d_s16(&params, input, output);
 */
#ifndef TYF_NN_KERNELS_S16_H
#define TYF_NN_KERNELS_S16_H

#include <stdint.h>

#include "tyf/nn/kernels.h"

/**
 * 2-D convolution, grouped when filter_c < input_c. Sums are int64 and rounded once; those of the narrow kernel wrap to
 * int32 and are rounded twice, as in int8.
 *
 * @param input      [input_h, input_w, input_c]
 * @param weights    [output_c, kernel_h, kernel_w, filter_c]
 * @param bias       [output_c]; |bias| + 2^15 * sum |weights| of a channel is below 2^47
 * @param multiplier [output_c] Q15
 * @param shift      [output_c] in [8, 46] to the right
 * @param output     [output_h, output_w, output_c]
 * @require input_c % filter_c == 0 && output_c % (input_c / filter_c) == 0
 */
void tyf_conv2d_s16(const tyf_conv2d_s8_params *params, const int16_t *input, const int8_t *weights,
                    const int64_t *bias, const int16_t *multiplier, const int8_t *shift, int16_t *output);

/**
 * The same with int32 sums.
 *
 * @param input      [input_h, input_w, input_c]
 * @param weights    [output_c, kernel_h, kernel_w, filter_c]
 * @param bias       [output_c]
 * @param multiplier [output_c] Q31
 * @param shift      [output_c] in [-31, 30], > 0 is to the left
 * @param output     [output_h, output_w, output_c]
 * @require input_c % filter_c == 0 && output_c % (input_c / filter_c) == 0
 */
void tyf_conv2d_narrow_s16(const tyf_conv2d_s8_params *params, const int16_t *input, const int8_t *weights,
                           const int32_t *bias, const int32_t *multiplier, const int8_t *shift, int16_t *output);

/**
 * Depthwise convolution.
 *
 * @param input      [input_h, input_w, input_c]
 * @param weights    [kernel_h, kernel_w, input_c * depth_multiplier]
 * @param bias       [input_c * depth_multiplier]
 * @param multiplier [input_c * depth_multiplier] Q15
 * @param shift      [input_c * depth_multiplier] in [8, 46] to the right
 * @param output     [output_h, output_w, input_c * depth_multiplier]
 */
void tyf_depthwise_conv2d_s16(const tyf_depthwise_conv2d_s8_params *params, const int16_t *input, const int8_t *weights,
                              const int64_t *bias, const int16_t *multiplier, const int8_t *shift, int16_t *output);

/**
 * Transposed 2-D convolution.
 *
 * @param input      [output_h, output_w, input_c]
 * @param weights    [output_c, kernel_h, kernel_w, input_c]
 * @param bias       [output_c]
 * @param multiplier [output_c] Q15
 * @param shift      [output_c] in [8, 46] to the right
 * @param output     [input_h, input_w, output_c]
 * @require stride_h >= 1 && stride_w >= 1
 */
void tyf_transpose_conv_s16(const tyf_transpose_conv_s8_params *params, const int16_t *input, const int8_t *weights,
                            const int64_t *bias, const int16_t *multiplier, const int8_t *shift, int16_t *output);

/**
 * Dense layer.
 *
 * @param input      [rows, depth]
 * @param weights    [units, depth]
 * @param bias       [units]
 * @param multiplier [units] Q15
 * @param shift      [units] in [8, 46] to the right
 * @param output     [rows, units]
 */
void tyf_fully_connected_s16(const tyf_fully_connected_s8_params *params, const int16_t *input, const int8_t *weights,
                             const int64_t *bias, const int16_t *multiplier, const int8_t *shift, int16_t *output);

/**
 * The same with int32 sums.
 *
 * @param input      [rows, depth]
 * @param weights    [units, depth]
 * @param bias       [units]
 * @param multiplier [units] Q31
 * @param shift      [units] in [-31, 30], > 0 is to the left
 * @param output     [rows, units]
 */
void tyf_fully_connected_narrow_s16(const tyf_fully_connected_s8_params *params, const int16_t *input,
                                    const int8_t *weights, const int32_t *bias, const int32_t *multiplier,
                                    const int8_t *shift, int16_t *output);

/**
 * Products of matrices; the multiplier is Q15, the shift to the right.
 *
 * @param a       [span([batches, rows, depth], a_strides)]
 * @param b       [span([batches, depth, columns], b_strides)]
 * @param output  [batches, rows, columns]
 * @require shift in [8, 46]
 */
void tyf_batch_matmul_s16(const tyf_batch_matmul_s8_params *params, const int16_t *a, const int16_t *b,
                          int16_t *output);

/**
 * Mean of the elements inside the image, ties away from zero.
 *
 * @param input   [input_h, input_w, channels]
 * @param output  [output_h, output_w, channels]
 * @require dilation_h == 1 && dilation_w == 1
 */
void tyf_average_pool2d_s16(const tyf_pool2d_s8_params *params, const int16_t *input, int16_t *output);

/**
 * Largest element inside the image.
 *
 * @param input   [input_h, input_w, channels]
 * @param output  [output_h, output_w, channels]
 * @require dilation_h == 1 && dilation_w == 1
 */
void tyf_max_pool2d_s16(const tyf_pool2d_s8_params *params, const int16_t *input, int16_t *output);

/**
 * Sum or mean over any of four dimensions.
 *
 * @param input   [kept, reduced]
 * @param output  [kept]
 * @require shift in [-31, 30]
 */
void tyf_sum_s16(const tyf_reduce_s8_params *params, const int16_t *input, int16_t *output);

/**
 * Functions of two tensors with scales; as in int8, MUL uses no multiplier of an input, MINIMUM and MAXIMUM none at
 * all.
 *
 * @param a       [span(dims, a.strides)]
 * @param b       [span(dims, b.strides)]
 * @param output  [dims]; may be the a or b that does not broadcast
 * @require a.shift in [-31, 30] && b.shift in [-31, 30] && output_shift in [-31, 30]
 */
void tyf_add_s16(const tyf_binary_s8_params *params, const int16_t *a, const int16_t *b, int16_t *output);
void tyf_sub_s16(const tyf_binary_s8_params *params, const int16_t *a, const int16_t *b, int16_t *output);
void tyf_mul_s16(const tyf_binary_s8_params *params, const int16_t *a, const int16_t *b, int16_t *output);
void tyf_squared_difference_s16(const tyf_binary_s8_params *params, const int16_t *a, const int16_t *b,
                                int16_t *output);
void tyf_minimum_s16(const tyf_binary_s8_params *params, const int16_t *a, const int16_t *b, int16_t *output);
void tyf_maximum_s16(const tyf_binary_s8_params *params, const int16_t *a, const int16_t *b, int16_t *output);

/**
 * output = condition ? a : b, all of one scale.
 *
 * @param condition  [span(dims, condition_strides)]
 * @param a          [span(dims, a_strides)]
 * @param b          [span(dims, b_strides)]
 * @param output     [dims]; may be an input that does not broadcast
 */
void tyf_select_s16(const tyf_select_s8_params *params, const uint8_t *condition, const int16_t *a, const int16_t *b,
                    int16_t *output);

/**
 * Copy with a border of one value.
 *
 * @param input   [input_dims]
 * @param output  [before + input_dims + after]
 */
void tyf_pad_s16(const tyf_pad_s8_params *params, const int16_t *input, int16_t *output);

/**
 * float32 to int16: nearest, ties away from zero; NaN gives the smallest value.
 *
 * @param scale   [1]
 * @param input   [count]
 * @param output  [count]
 */
void tyf_quantize_f32_s16(const tyf_quantize_f32_params *params, const float *scale, const float *input,
                          int16_t *output);

/**
 * From one type or scale to another, elementwise.
 *
 * @param input   [count]
 * @param output  [count]; may be the input of the same type
 * @require shift in [-31, 30]
 */
void tyf_requantize_s8_s16(const tyf_requantize_params *params, const int8_t *input, int16_t *output);
void tyf_requantize_s16_s8(const tyf_requantize_params *params, const int16_t *input, int8_t *output);
void tyf_requantize_s16_s16(const tyf_requantize_params *params, const int16_t *input, int16_t *output);

/**
 * scale * (q - zero_point) in float32.
 *
 * @param scale   [1]
 * @param input   [count]
 * @param output  [count]
 */
void tyf_dequantize_s16_f32(const tyf_dequantize_params *params, const float *scale, const int16_t *input,
                            float *output);

typedef struct {
    int32_t count;
    int32_t positive_multiplier, positive_shift; /**< of values >= 0 */
    int32_t negative_multiplier, negative_shift; /**< of values < 0 */
    int32_t activation_min, activation_max;
} tyf_slopes_s16_params;

/**
 * RELU, RELU6, LEAKY_RELU and ABS: two straight lines that meet at 0.
 *
 * @param input   [count]
 * @param output  [count]; may be the input
 * @require positive_shift in [-31, 30] && negative_shift in [-31, 30]
 */
void tyf_slopes_s16(const tyf_slopes_s16_params *params, const int16_t *input, int16_t *output);

typedef struct {
    int32_t count;
    int32_t multiplier; /**< input * multiplier >> shift is 3 * 2^12 for 1.0 */
    int32_t shift;
} tyf_sigmoid_s16_params;

/**
 * Logistic and tanh; output scale 1/32768.
 *
 * @param table   [256], SIGMOID_TABLE of tinyfleet_codegen/sigmoid_table.py
 * @param input   [count]
 * @param output  [count]; may be the input
 * @require shift in [0, 30]
 */
void tyf_logistic_s16(const tyf_sigmoid_s16_params *params, const uint16_t *table, const int16_t *input,
                      int16_t *output);
void tyf_tanh_s16(const tyf_sigmoid_s16_params *params, const uint16_t *table, const int16_t *input, int16_t *output);

typedef struct {
    int32_t rows;
    int32_t depth;
    int32_t multiplier; /**< a difference of 10.0 to the maximum becomes 65535 */
    int32_t shift;
} tyf_softmax_s16_params;

/**
 * Softmax along rows of depth; output scale 1/32768.
 *
 * @param exponential [513], EXP_TABLE of tinyfleet_codegen/softmax_tables.py
 * @param reciprocal  [513], RECIPROCAL_TABLE of the same
 * @param input       [rows, depth]
 * @param output      [rows, depth]; may be the input
 * @require depth <= 65535 && shift in [-31, 30]
 */
void tyf_softmax_s16(const tyf_softmax_s16_params *params, const int16_t *exponential, const int16_t *reciprocal,
                     const int16_t *input, int16_t *output);

#endif
