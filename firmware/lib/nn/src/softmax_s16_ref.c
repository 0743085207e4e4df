/* SOFTMAX, int16, portable; the tables are those of tinyfleet_codegen/softmax_tables.py. */
#include "tyf/nn/fixed.h"
#include "tyf/nn/kernels_s16.h"

/* Between two of 513 entries, of which the first is that of -32768; saturates. */
static int32_t look_up(const int16_t *table, int32_t x) {
    const int32_t inside = tyf_clamp(x, INT16_MIN, INT16_MAX);
    const int16_t *entry = table + 256 + (inside >> 7);
    return entry[0] + (((entry[1] - entry[0]) * (inside & 127) + 64) >> 7);
}

/* Zeros above the highest set bit, below the sign; x > 0. */
static int32_t headroom(int32_t x) {
    int32_t count = 0;
    while ((x & (1 << 30)) == 0 && count < 30) {
        x <<= 1;
        count++;
    }
    return count;
}

static void softmax_row(const tyf_softmax_s16_params *p, const int16_t *exponential, const int16_t *reciprocal,
                        const int16_t *input, int16_t *output) {
    int32_t largest = INT16_MIN;
    for (int32_t i = 0; i < p->depth; i++) {
        largest = input[i] > largest ? input[i] : largest;
    }
    int32_t sum = 0; /* Q16.15: at most 65535 terms of at most 1 */
    for (int32_t i = 0; i < p->depth; i++) {
        const int32_t difference = tyf_requantize(input[i] - largest, p->multiplier, p->shift);
        output[i] = (int16_t)look_up(exponential, difference + INT16_MAX);
        sum += output[i];
    }
    const int32_t free_bits = headroom(sum);
    /* The sum as 1.0 to 2.0 in Q0.16; the table begins at 1.0. */
    const int32_t normalized = (int32_t)((((int64_t)sum << free_bits) + (1 << 13)) >> 14);
    const int32_t scale = look_up(reciprocal, normalized - (1 << 15) - (1 << 16));
    const int32_t right = 30 - free_bits;
    for (int32_t i = 0; i < p->depth; i++) {
        const int32_t result = (int32_t)((output[i] * scale + ((INT64_C(1) << right) >> 1)) >> right);
        output[i] = (int16_t)tyf_clamp(result, 0, INT16_MAX);
    }
}

void tyf_softmax_s16(const tyf_softmax_s16_params *p, const int16_t *exponential, const int16_t *reciprocal,
                     const int16_t *input, int16_t *output) {
    for (int32_t row = 0; row < p->rows; row++) {
        softmax_row(p, exponential, reciprocal, input + row * p->depth, output + row * p->depth);
    }
}
