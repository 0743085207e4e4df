/**
 * int8 inference kernels, batch 1, tensors [h, w, c] in row-major order. The compiler on the host has checked every
 * shape, type and bound, so kernels return nothing and check nothing. Arithmetic per op: docs/spec/ops.md.
 *
 *     static const tyf_pool2d_s8_params params = {.window = {...}, .channels = 8, ...};
 *     tyf_max_pool2d_s8(&params, input, output);
 *
 * No kernel allocates, keeps state or lets output overlap input, except where it says so.
 *
 * Comments are contracts: "@param NAME [how many elements]" and "@require" say what a kernel may touch in terms of its
 * parameters. Blobs are checked by them when they are printed and when a device opens them; docs/spec/blob.md has the
 * grammar.
 */
#ifndef TYF_NN_KERNELS_H
#define TYF_NN_KERNELS_H

#include <stdint.h>

/**
 * Where windows lie: output o reads o * stride - pad + k * dilation for k in [0, kernel). All in [0, 65535]. Every
 * window has a row and a column inside the image.
 *
 * @require pad_h <= (kernel_h - 1) * dilation_h && (kernel_h - 1) * dilation_h <= 65535
 * @require pad_w <= (kernel_w - 1) * dilation_w && (kernel_w - 1) * dilation_w <= 65535
 * @require (output_h - 1) * stride_h < input_h + pad_h && (output_w - 1) * stride_w < input_w + pad_w
 */
typedef struct {
    uint16_t input_h, input_w;
    uint16_t output_h, output_w;
    uint16_t kernel_h, kernel_w;
    uint16_t stride_h, stride_w;
    uint16_t dilation_h, dilation_w;
    uint16_t pad_h, pad_w;
} tyf_window;

typedef struct {
    tyf_window window;
    int32_t input_c;
    int32_t filter_c; /**< input_c / groups */
    int32_t output_c;
    int32_t input_offset; /**< -zero_point of the input */
    int32_t output_offset;
    int32_t activation_min, activation_max;
} tyf_conv2d_s8_params;

/**
 * 2-D convolution, grouped when filter_c < input_c.
 *
 * @param input      [input_h, input_w, input_c]
 * @param weights    [output_c, kernel_h, kernel_w, filter_c]
 * @param bias       [output_c]; |bias| + 255 * sum |weights| of a channel fits int32
 * @param multiplier [output_c] Q31
 * @param shift      [output_c] in [-31, 30], > 0 is to the left
 * @param output     [output_h, output_w, output_c]
 * @require input_c % filter_c == 0 && output_c % (input_c / filter_c) == 0
 */
void tyf_conv2d_s8(const tyf_conv2d_s8_params *params, const int8_t *input, const int8_t *weights, const int32_t *bias,
                   const int32_t *multiplier, const int8_t *shift, int8_t *output);

typedef struct {
    tyf_window window;
    int32_t input_c;
    int32_t depth_multiplier; /**< output channels per input channel */
    int32_t input_offset;
    int32_t output_offset;
    int32_t activation_min, activation_max;
} tyf_depthwise_conv2d_s8_params;

/**
 * Depthwise convolution.
 *
 * @param input      [input_h, input_w, input_c]
 * @param weights    [kernel_h, kernel_w, input_c * depth_multiplier]
 * @param bias       [input_c * depth_multiplier]
 * @param multiplier [input_c * depth_multiplier]
 * @param shift      [input_c * depth_multiplier] in [-31, 30]
 * @param output     [output_h, output_w, input_c * depth_multiplier]
 */
void tyf_depthwise_conv2d_s8(const tyf_depthwise_conv2d_s8_params *params, const int8_t *input, const int8_t *weights,
                             const int32_t *bias, const int32_t *multiplier, const int8_t *shift, int8_t *output);

typedef struct {
    int32_t rows;
    int32_t depth;
    int32_t units;
    int32_t input_offset;
    int32_t output_offset;
    int32_t activation_min, activation_max;
} tyf_fully_connected_s8_params;

/**
 * Dense layer.
 *
 * @param input      [rows, depth]
 * @param weights    [units, depth]
 * @param bias       [units]
 * @param multiplier [units]
 * @param shift      [units] in [-31, 30]
 * @param output     [rows, units]
 */
void tyf_fully_connected_s8(const tyf_fully_connected_s8_params *params, const int8_t *input, const int8_t *weights,
                            const int32_t *bias, const int32_t *multiplier, const int8_t *shift, int8_t *output);

typedef struct {
    tyf_window window; /**< dilation is 1 */
    int32_t channels;
    int32_t activation_min, activation_max;
} tyf_pool2d_s8_params;

/**
 * Mean of the elements inside the image, ties away from zero.
 *
 * @param input   [input_h, input_w, channels]
 * @param output  [output_h, output_w, channels]
 * @require dilation_h == 1 && dilation_w == 1
 */
void tyf_average_pool2d_s8(const tyf_pool2d_s8_params *params, const int8_t *input, int8_t *output);

/**
 * Largest element inside the image.
 *
 * @param input   [input_h, input_w, channels]
 * @param output  [output_h, output_w, channels]
 * @require dilation_h == 1 && dilation_w == 1
 */
void tyf_max_pool2d_s8(const tyf_pool2d_s8_params *params, const int8_t *input, int8_t *output);

typedef struct {
    int32_t kept[4];    /**< size of each kept dimension, 1 for a reduced one */
    int32_t reduced[4]; /**< size of each reduced dimension, 1 for a kept one */
    int32_t input_offset;
    int32_t output_offset;
    int32_t multiplier; /**< scale ratio; for a mean, over the element count */
    int32_t shift;
} tyf_reduce_s8_params;

/**
 * Sum or mean over any of four dimensions.
 *
 * @param input   [kept, reduced]
 * @param output  [kept]
 * @require shift in [-31, 30]
 */
void tyf_sum_s8(const tyf_reduce_s8_params *params, const int8_t *input, int8_t *output);

/**
 * Largest value over any of four dimensions; input and output have one scale.
 *
 * @param input   [kept, reduced]
 * @param output  [kept]
 */
void tyf_reduce_max_s8(const tyf_reduce_s8_params *params, const int8_t *input, int8_t *output);

/** One input of a function of two. */
typedef struct {
    int32_t strides[4]; /**< elements between neighbours along each output dimension, 0 where it broadcasts */
    int32_t offset;     /**< -zero_point */
    int32_t multiplier;
    int32_t shift;
} tyf_binary_s8_input;

typedef struct {
    int32_t dims[4];
    tyf_binary_s8_input a, b;
    int32_t output_offset;
    int32_t output_multiplier;
    int32_t output_shift;
    int32_t activation_min, activation_max;
} tyf_binary_s8_params;

/**
 * Functions of two tensors with scales. MUL uses no
 * multiplier of an input; MINIMUM and MAXIMUM use none at all; PRELU scales positive elements of a by a's multiplier
 * and products of negative ones with the slopes b by the output's.
 *
 * @param a       [span(dims, a.strides)]
 * @param b       [span(dims, b.strides)]
 * @param output  [dims]; may be the a or b that does not broadcast
 * @require a.shift in [-31, 30] && b.shift in [-31, 30] && output_shift in [-31, 30]
 */
void tyf_add_s8(const tyf_binary_s8_params *params, const int8_t *a, const int8_t *b, int8_t *output);
void tyf_sub_s8(const tyf_binary_s8_params *params, const int8_t *a, const int8_t *b, int8_t *output);
void tyf_mul_s8(const tyf_binary_s8_params *params, const int8_t *a, const int8_t *b, int8_t *output);
void tyf_squared_difference_s8(const tyf_binary_s8_params *params, const int8_t *a, const int8_t *b, int8_t *output);
void tyf_minimum_s8(const tyf_binary_s8_params *params, const int8_t *a, const int8_t *b, int8_t *output);
void tyf_maximum_s8(const tyf_binary_s8_params *params, const int8_t *a, const int8_t *b, int8_t *output);
void tyf_prelu_s8(const tyf_binary_s8_params *params, const int8_t *a, const int8_t *b, int8_t *output);

typedef struct {
    int32_t dims[4];
    tyf_binary_s8_input a, b;
    int32_t less, equal, greater; /**< the result in each case, 0 or 1 */
} tyf_compare_s8_params;

/**
 * Compare two tensors with scales: each element is scaled up by 2^8, then by its tensor's multiplier; others are
 * compared as they are.
 *
 * @param a       [span(dims, a.strides)]
 * @param b       [span(dims, b.strides)]
 * @param output  [dims], 0 or 1; may be the a or b that does not broadcast
 * @require a.shift in [-31, 0] && b.shift in [-31, 0]
 */
void tyf_compare_s8(const tyf_compare_s8_params *params, const int8_t *a, const int8_t *b, uint8_t *output);
void tyf_compare_u8(const tyf_compare_s8_params *params, const uint8_t *a, const uint8_t *b, uint8_t *output);
void tyf_compare_s32(const tyf_compare_s8_params *params, const int32_t *a, const int32_t *b, uint8_t *output);

typedef struct {
    int32_t dims[4];
    int32_t condition_strides[4], a_strides[4], b_strides[4]; /**< as in tyf_binary_s8_input */
} tyf_select_s8_params;

/**
 * output = condition ? a : b, all of one scale.
 *
 * @param condition  [span(dims, condition_strides)]
 * @param a          [span(dims, a_strides)]
 * @param b          [span(dims, b_strides)]
 * @param output     [dims]; may be an input that does not broadcast
 */
void tyf_select_s8(const tyf_select_s8_params *params, const uint8_t *condition, const int8_t *a, const int8_t *b,
                   int8_t *output);

typedef struct {
    int32_t input_dims[4];
    int32_t before[4], after[4];
    int32_t value;
} tyf_pad_s8_params;

/**
 * Copy with a border of one value.
 *
 * @param input   [input_dims]
 * @param output  [before + input_dims + after]
 */
void tyf_pad_s8(const tyf_pad_s8_params *params, const int8_t *input, int8_t *output);

typedef struct {
    int32_t rows;
    int32_t depth; /**< at most 511 */
    int32_t multiplier;
    int32_t left_shift;
    int32_t smallest_difference; /**< elements that lie further below the maximum give -128 */
} tyf_softmax_s8_params;

/**
 * Softmax along rows of depth; output scale 1/256, zero point -128.
 *
 * @param input   [rows, depth]
 * @param output  [rows, depth]; may be the input
 * @require depth <= 511 && left_shift in [0, 30] && smallest_difference in [-2147483648, 0]
 */
void tyf_softmax_s8(const tyf_softmax_s8_params *params, const int8_t *input, int8_t *output);

typedef struct {
    int32_t count;
    int32_t zero_point;
} tyf_quantize_f32_params;

/**
 * float32 to int8: nearest, ties away from zero; NaN gives the smallest value.
 *
 * @param scale   [1]
 * @param input   [count]
 * @param output  [count]
 */
void tyf_quantize_f32_s8(const tyf_quantize_f32_params *params, const float *scale, const float *input, int8_t *output);

typedef struct {
    int32_t count;
    int32_t input_offset;
    int32_t output_offset;
    int32_t multiplier;
    int32_t shift;
} tyf_requantize_params;

/**
 * From one scale to another, elementwise.
 *
 * @param input   [count]
 * @param output  [count]; may be the input
 * @require shift in [-31, 30]
 */
void tyf_requantize_s8_s8(const tyf_requantize_params *params, const int8_t *input, int8_t *output);
void tyf_requantize_u8_s8(const tyf_requantize_params *params, const uint8_t *input, int8_t *output);
void tyf_requantize_s8_u8(const tyf_requantize_params *params, const int8_t *input, uint8_t *output);

typedef struct {
    int32_t count;
    int32_t zero_point;
} tyf_dequantize_params;

/**
 * scale * (q - zero_point) in float32.
 *
 * @param scale   [1]
 * @param input   [count]
 * @param output  [count]
 */
void tyf_dequantize_s8_f32(const tyf_dequantize_params *params, const float *scale, const int8_t *input, float *output);
void tyf_dequantize_u8_f32(const tyf_dequantize_params *params, const float *scale, const uint8_t *input,
                           float *output);

typedef struct {
    int32_t count;
} tyf_lookup_s8_params;

/**
 * output[i] = table[the byte of input[i]].
 *
 * @param table   [256]
 * @param input   [count]
 * @param output  [count]; may be the input
 */
void tyf_lookup_s8(const tyf_lookup_s8_params *params, const int8_t *table, const int8_t *input, int8_t *output);

#define TYF_COPY_DIMS 5

typedef struct {
    int32_t run_bytes;           /**< contiguous on both sides */
    int32_t dims[TYF_COPY_DIMS]; /**< how many runs along each loop, the innermost last */
    int32_t input_strides[TYF_COPY_DIMS], output_strides[TYF_COPY_DIMS]; /**< bytes; may be 0 or negative */
    int32_t input_start, output_start;                                   /**< bytes */
} tyf_copy_params;

/**
 * Copy a box of elements of any type from one layout to another.
 *
 * @param input   [input_start + ahead(dims, input_strides) + run_bytes]
 * @param output  [output_start + ahead(dims, output_strides) + run_bytes], overlaps nothing
 * @require behind(dims, input_strides) <= input_start && behind(dims, output_strides) <= output_start
 * @require run_bytes >= 1 && product(dims) * run_bytes <= output_start + ahead(dims, output_strides) + run_bytes
 */
void tyf_copy(const tyf_copy_params *params, const void *input, void *output);

typedef struct {
    int32_t rows, columns;
    int32_t last_row, last_column; /**< largest offset of each kind */
    int32_t run_bytes;
} tyf_gather_params;

/**
 * Runs of bytes from where two tables say, in order: output[i, j] = input[row_offsets[i] + column_offsets[j]].
 *
 * @param row_offsets     [rows] in [0, last_row] bytes
 * @param column_offsets  [columns] in [0, last_column] bytes
 * @param input           [last_row + last_column + run_bytes]
 * @param output          [rows, columns, run_bytes], overlaps nothing
 * @require run_bytes >= 1
 */
void tyf_gather(const tyf_gather_params *params, const int32_t *row_offsets, const int32_t *column_offsets,
                const void *input, void *output);

typedef struct {
    int32_t input_h, input_w;
    int32_t output_h, output_w;
    int32_t channels;
    int32_t scale_h, scale_w; /**< distance of neighbours in units of 1/1024 input pixels */
    int32_t start_h, start_w; /**< place of the first pixel in the same units, plus 512 */
} tyf_resize_bilinear_s8_params;

/**
 * Bilinear interpolation. What lies before the first or beyond the last pixel is that pixel.
 *
 * @param input   [input_h, input_w, channels]
 * @param output  [output_h, output_w, channels]
 * @require (output_h - 1) * scale_h + start_h < input_h * 1024 + 512
 * @require (output_w - 1) * scale_w + start_w < input_w * 1024 + 512
 */
void tyf_resize_bilinear_s8(const tyf_resize_bilinear_s8_params *params, const int8_t *input, int8_t *output);

typedef struct {
    tyf_window window; /**< of the convolution that goes the other way: its input is this output; dilation is 1 */
    int32_t input_c;
    int32_t output_c;
    int32_t input_offset;
    int32_t output_offset;
} tyf_transpose_conv_s8_params;

/**
 * Transposed 2-D convolution.
 *
 * @param input      [output_h, output_w, input_c]
 * @param weights    [output_c, kernel_h, kernel_w, input_c]
 * @param bias       [output_c]
 * @param multiplier [output_c]
 * @param shift      [output_c] in [-31, 30]
 * @param output     [input_h, input_w, output_c]
 * @require stride_h >= 1 && stride_w >= 1
 */
void tyf_transpose_conv_s8(const tyf_transpose_conv_s8_params *params, const int8_t *input, const int8_t *weights,
                           const int32_t *bias, const int32_t *multiplier, const int8_t *shift, int8_t *output);

typedef struct {
    int32_t batches[2];
    int32_t rows, depth, columns;
    int32_t a_strides[4]; /**< elements between neighbours: batches, rows, depth */
    int32_t b_strides[4]; /**< batches, depth, columns */
    int32_t a_offset, b_offset;
    int32_t output_offset;
    int32_t multiplier;
    int32_t shift;
} tyf_batch_matmul_s8_params;

/**
 * Products of matrices.
 *
 * @param a       [span([batches, rows, depth], a_strides)]
 * @param b       [span([batches, depth, columns], b_strides)]
 * @param output  [batches, rows, columns]
 * @require shift in [-31, 30]
 */
void tyf_batch_matmul_s8(const tyf_batch_matmul_s8_params *params, const int8_t *a, const int8_t *b, int8_t *output);

typedef struct {
    int32_t outer, size, inner;
} tyf_arg_max_s8_params;

/**
 * Index of the largest of `size` values, the first of equals.
 *
 * @param input   [outer, size, inner]
 * @param output  [outer, inner]
 */
void tyf_arg_max_s8(const tyf_arg_max_s8_params *params, const int8_t *input, int32_t *output);

typedef struct {
    int32_t size;    /**< of the input */
    int32_t filters; /**< rows of the state */
    int32_t memory;  /**< features that each filter remembers */
    int32_t input_offset;
    int32_t multiplier;
    int32_t shift;
} tyf_svdf_update_s8_params;

/**
 * First step of SVDF: each filter's oldest feature makes room for that of the input.
 *
 * @param input    [size]
 * @param weights  [filters, size]
 * @param state    [filters, memory]
 * @require shift in [-31, 30]
 */
void tyf_svdf_update_s8(const tyf_svdf_update_s8_params *params, const int8_t *input, const int8_t *weights,
                        int16_t *state);
void tyf_svdf_update_s8_state_s8(const tyf_svdf_update_s8_params *params, const int8_t *input, const int8_t *weights,
                                 int8_t *state);

typedef struct {
    int32_t units;
    int32_t depth; /**< remembered features of a unit: rank * memory */
    int32_t output_offset;
    int32_t multiplier;
    int32_t shift;
} tyf_svdf_output_s8_params;

/**
 * Second step: each unit from the features of its filters.
 *
 * @param state    [units, depth]
 * @param weights  [units, depth]
 * @param bias     [units]
 * @param output   [units]
 * @require shift in [-31, 30]
 */
void tyf_svdf_output_s8(const tyf_svdf_output_s8_params *params, const int16_t *state, const int16_t *weights,
                        const int32_t *bias, int8_t *output);
void tyf_svdf_output_s8_state_s8(const tyf_svdf_output_s8_params *params, const int8_t *state, const int8_t *weights,
                                 const int32_t *bias, int8_t *output);

typedef struct {
    int32_t steps;
    int32_t size; /**< of the input of one step */
    int32_t units;
    int32_t input_offset;                        /**< -zero_point of the input */
    int32_t output_offset;                       /**< zero_point of output and hidden */
    int32_t input_multiplier[4], input_shift[4]; /**< of the gates' sums: input, forget, cell, output; to Q3.12 */
    int32_t recurrent_multiplier[4], recurrent_shift[4];
    int32_t forget_multiplier, forget_shift; /**< of forget gate times cell */
    int32_t update_multiplier, update_shift; /**< of input gate times cell gate */
    int32_t hidden_multiplier, hidden_shift; /**< of output gate times tanh of the cell */
    int32_t tanh_multiplier, tanh_shift;     /**< of a cell, to 3 * 2^12 for 1.0 */
    int32_t cell_min, cell_max;
} tyf_lstm_s8_params;

/**
 * LSTM over all steps of a sequence; hidden and cells are what the sequence before it left.
 *
 * @param table      [256], SIGMOID_TABLE of tinyfleet_codegen/sigmoid_table.py
 * @param input      [steps, size]
 * @param weights    [4, units, size]
 * @param recurrent  [4, units, units]
 * @param bias       [4, units]
 * @param hidden     [units], overlaps nothing
 * @param cells      [units]
 * @param output     [steps, units]
 * @require input_shift in [-31, 30] && recurrent_shift in [-31, 30]
 * @require forget_shift in [-31, 30] && update_shift in [-31, 30] && hidden_shift in [-31, 30] && tanh_shift in [0, 30]
 */
void tyf_lstm_s8(const tyf_lstm_s8_params *params, const uint16_t *table, const int8_t *input, const int8_t *weights,
                 const int8_t *recurrent, const int32_t *bias, int8_t *hidden, int16_t *cells, int8_t *output);

#endif
