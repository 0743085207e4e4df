/* RELU, RELU6, LEAKY_RELU and ABS, int16, portable. */
#include "tyf/nn/fixed.h"
#include "tyf/nn/kernels_s16.h"

void tyf_slopes_s16(const tyf_slopes_s16_params *p, const int16_t *input, int16_t *output) {
    for (int32_t i = 0; i < p->count; i++) {
        const int32_t result = input[i] >= 0 ? tyf_requantize(input[i], p->positive_multiplier, p->positive_shift)
                                             : tyf_requantize(input[i], p->negative_multiplier, p->negative_shift);
        output[i] = (int16_t)tyf_clamp(result, p->activation_min, p->activation_max);
    }
}
