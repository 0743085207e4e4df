/* FULLY_CONNECTED and 1x1 CONV_2D, int16 with int8 weights, for cores with the DSP extension: two products per SMLALD.
 */
#include "tyf/nn/dsp.h"
#include "tyf/nn/fixed_s16.h"
#include "tyf/nn/kernels_dsp.h"
#include "tyf/nn/kernels_s16.h"

static inline uint32_t load_pair(const int16_t *values) {
    uint32_t word;
    memcpy(&word, values, sizeof word);
    return word;
}

static inline int64_t smlald(uint32_t a, uint32_t b, int64_t sum) {
    return __smlald((int16x2_t)a, (int16x2_t)b, sum);
}

/* The values behind the last whole four, with zeros: at most three. */
static inline void load_rest(const int16_t *values, int32_t count, uint32_t words[2]) {
    int16_t rest[4] = {0, 0, 0, 0};
    memcpy(rest, values, (size_t)count * sizeof rest[0]);
    words[0] = load_pair(rest);
    words[1] = load_pair(rest + 2);
}

/* Sums of one unit for two rows, which share each load of weights. */
static void sum_two_rows(const uint32_t *w, const int16_t *a, const int16_t *b, int32_t depth, int64_t sums[2]) {
    int64_t sum_a = 0, sum_b = 0;
    for (int32_t left = depth / 4; left != 0; left--) {
        const uint32_t four = *w++;
        const uint32_t low = tyf_sxtb16(four), high = tyf_sxtb16_ror8(four);
        sum_a = smlald(low, load_pair(a), sum_a);
        sum_b = smlald(low, load_pair(b), sum_b);
        sum_a = smlald(high, load_pair(a + 2), sum_a);
        sum_b = smlald(high, load_pair(b + 2), sum_b);
        a += 4;
        b += 4;
    }
    if (depth % 4 != 0) {
        const uint32_t low = tyf_sxtb16(*w), high = tyf_sxtb16_ror8(*w);
        uint32_t of_a[2], of_b[2];
        load_rest(a, depth % 4, of_a);
        load_rest(b, depth % 4, of_b);
        sum_a = smlald(high, of_a[1], smlald(low, of_a[0], sum_a));
        sum_b = smlald(high, of_b[1], smlald(low, of_b[0], sum_b));
    }
    sums[0] = sum_a;
    sums[1] = sum_b;
}

static int64_t sum_one_row(const uint32_t *w, const int16_t *a, int32_t depth) {
    int64_t sum = 0;
    for (int32_t left = depth / 4; left != 0; left--) {
        const uint32_t four = *w++;
        sum = smlald(tyf_sxtb16(four), load_pair(a), sum);
        sum = smlald(tyf_sxtb16_ror8(four), load_pair(a + 2), sum);
        a += 4;
    }
    if (depth % 4 != 0) {
        uint32_t rest[2];
        load_rest(a, depth % 4, rest);
        sum = smlald(tyf_sxtb16_ror8(*w), rest[1], smlald(tyf_sxtb16(*w), rest[0], sum));
    }
    return sum;
}

void tyf_fully_connected_s16_dsp(const tyf_fully_connected_s8_params *p, const int16_t *input, const uint32_t *weights,
                                 const int64_t *bias, const int16_t *multiplier, const int8_t *shift, int16_t *output) {
    const tyf_scales_s16 scales = {.wide_bias = bias, .wide_multiplier = multiplier, .shift = shift};
    const int32_t words = (p->depth + 3) / 4;
    int32_t row = 0;
    for (; row + 1 < p->rows; row += 2) {
        const int16_t *a = input + row * p->depth;
        int16_t *out = output + row * p->units;
        for (int32_t unit = 0; unit < p->units; unit++) {
            int64_t sums[2];
            sum_two_rows(weights + unit * words, a, a + p->depth, p->depth, sums);
            for (int32_t i = 0; i < 2; i++) {
                const int32_t result = tyf_finish_wide(&scales, unit, sums[i]);
                out[i * p->units + unit] = (int16_t)tyf_clamp(result, p->activation_min, p->activation_max);
            }
        }
    }
    for (int32_t unit = 0; row < p->rows && unit < p->units; unit++) {
        const int64_t sum = sum_one_row(weights + unit * words, input + row * p->depth, p->depth);
        const int32_t result = tyf_finish_wide(&scales, unit, sum);
        output[row * p->units + unit] = (int16_t)tyf_clamp(result, p->activation_min, p->activation_max);
    }
}
