/* ARG_MAX, int8, portable. */
#include "tyf/nn/kernels.h"

void tyf_arg_max_s8(const tyf_arg_max_s8_params *p, const int8_t *input, int32_t *output) {
    for (int32_t i = 0; i < p->outer; i++) {
        for (int32_t j = 0; j < p->inner; j++) {
            const int8_t *values = input + i * p->size * p->inner + j;
            int32_t best = 0;
            for (int32_t k = 1; k < p->size; k++) {
                if (values[k * p->inner] > values[best * p->inner]) {
                    best = k;
                }
            }
            *output++ = best;
        }
    }
}
