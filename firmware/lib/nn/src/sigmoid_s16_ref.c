/* LOGISTIC and TANH, int16, portable. */
#include "tyf/nn/kernels_s16.h"
#include "tyf/nn/sigmoid.h"

/* Below 2^31: the compiler on the host keeps the multiplier below 2^15. */
static int32_t scaled(const tyf_sigmoid_s16_params *p, int32_t value) {
    const int32_t half = (int32_t)((UINT32_C(1) << p->shift) >> 1);
    return (value * p->multiplier + half) >> p->shift;
}

void tyf_logistic_s16(const tyf_sigmoid_s16_params *p, const uint16_t *table, const int16_t *input, int16_t *output) {
    for (int32_t i = 0; i < p->count; i++) {
        output[i] = tyf_logistic_q15(table, scaled(p, input[i]));
    }
}

void tyf_tanh_s16(const tyf_sigmoid_s16_params *p, const uint16_t *table, const int16_t *input, int16_t *output) {
    for (int32_t i = 0; i < p->count; i++) {
        output[i] = tyf_tanh_q15(table, scaled(p, input[i]));
    }
}
