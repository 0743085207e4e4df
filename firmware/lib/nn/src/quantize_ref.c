/* QUANTIZE and DEQUANTIZE, portable. The only kernels that touch floating point, at the edges of a model. */
#include "tyf/nn/fixed.h"
#include "tyf/nn/kernels_s16.h"

/* Nearest integer, ties away from zero, saturated far outside int16; NaN gives INT32_MIN. */
static int32_t round_float(float x) {
    if (!(x > -1e6f)) {
        return INT32_MIN / 2;
    }
    if (x > 1e6f) {
        return INT32_MAX / 2;
    }
    const int32_t whole = (int32_t)x;
    const float fraction = x - (float)whole;
    return fraction >= 0.5f ? whole + 1 : fraction <= -0.5f ? whole - 1 : whole;
}

void tyf_quantize_f32_s8(const tyf_quantize_f32_params *p, const float *scale, const float *input, int8_t *output) {
    for (int32_t i = 0; i < p->count; i++) {
        output[i] = (int8_t)tyf_clamp(round_float(input[i] / *scale) + p->zero_point, INT8_MIN, INT8_MAX);
    }
}

void tyf_quantize_f32_s16(const tyf_quantize_f32_params *p, const float *scale, const float *input, int16_t *output) {
    for (int32_t i = 0; i < p->count; i++) {
        output[i] = (int16_t)tyf_clamp(round_float(input[i] / *scale) + p->zero_point, INT16_MIN, INT16_MAX);
    }
}

static int32_t rescale(const tyf_requantize_params *p, int32_t value) {
    return tyf_requantize(value + p->input_offset, p->multiplier, p->shift) + p->output_offset;
}

void tyf_requantize_s8_s8(const tyf_requantize_params *p, const int8_t *input, int8_t *output) {
    for (int32_t i = 0; i < p->count; i++) {
        output[i] = (int8_t)tyf_clamp(rescale(p, input[i]), INT8_MIN, INT8_MAX);
    }
}

void tyf_requantize_u8_s8(const tyf_requantize_params *p, const uint8_t *input, int8_t *output) {
    for (int32_t i = 0; i < p->count; i++) {
        output[i] = (int8_t)tyf_clamp(rescale(p, input[i]), INT8_MIN, INT8_MAX);
    }
}

void tyf_requantize_s8_u8(const tyf_requantize_params *p, const int8_t *input, uint8_t *output) {
    for (int32_t i = 0; i < p->count; i++) {
        output[i] = (uint8_t)tyf_clamp(rescale(p, input[i]), 0, UINT8_MAX);
    }
}

void tyf_requantize_s8_s16(const tyf_requantize_params *p, const int8_t *input, int16_t *output) {
    for (int32_t i = 0; i < p->count; i++) {
        output[i] = (int16_t)tyf_clamp(rescale(p, input[i]), INT16_MIN, INT16_MAX);
    }
}

void tyf_requantize_s16_s8(const tyf_requantize_params *p, const int16_t *input, int8_t *output) {
    for (int32_t i = 0; i < p->count; i++) {
        output[i] = (int8_t)tyf_clamp(rescale(p, input[i]), INT8_MIN, INT8_MAX);
    }
}

void tyf_requantize_s16_s16(const tyf_requantize_params *p, const int16_t *input, int16_t *output) {
    for (int32_t i = 0; i < p->count; i++) {
        output[i] = (int16_t)tyf_clamp(rescale(p, input[i]), INT16_MIN, INT16_MAX);
    }
}

void tyf_dequantize_s8_f32(const tyf_dequantize_params *p, const float *scale, const int8_t *input, float *output) {
    for (int32_t i = 0; i < p->count; i++) {
        output[i] = *scale * (float)(input[i] - p->zero_point);
    }
}

void tyf_dequantize_u8_f32(const tyf_dequantize_params *p, const float *scale, const uint8_t *input, float *output) {
    for (int32_t i = 0; i < p->count; i++) {
        output[i] = *scale * (float)(input[i] - p->zero_point);
    }
}

void tyf_dequantize_s16_f32(const tyf_dequantize_params *p, const float *scale, const int16_t *input, float *output) {
    for (int32_t i = 0; i < p->count; i++) {
        output[i] = *scale * (float)(input[i] - p->zero_point);
    }
}
