/* ADD, int8, for cores with the DSP extension: one scaled input is a shift, the other a look into a table. */
#include "tyf/nn/dsp.h"

void tyf_add_s8_dsp(const tyf_dsp_add *p, const int8_t *shifted, const int8_t *looked_up, const int32_t *table,
                    int8_t *output) {
    const int32_t multiplier = p->multiplier, round = p->round, shift = p->shift;
    const int32_t *middle = table + 128;
    const int8_t *end = shifted + p->elements;
    while (shifted != end) {
        /* Modulo 2^32 the sum is twice what is rounded. */
        const int32_t doubled = middle[*looked_up++] + *shifted++ * (1 << 20);
        *output++ = (int8_t)tyf_dsp_requantize_doubled(doubled, multiplier, round, shift);
    }
    tyf_dsp_clamp(output - p->elements, p->elements, p->activation_min, p->activation_max);
}
