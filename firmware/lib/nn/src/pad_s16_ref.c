/* PAD, int16, portable. */
#include <stdbool.h>

#include "tyf/nn/kernels_s16.h"

static bool inside(const tyf_pad_s8_params *p, int32_t dimension, int32_t position) {
    return position >= p->before[dimension] && position < p->before[dimension] + p->input_dims[dimension];
}

static int32_t padded(const tyf_pad_s8_params *p, int32_t dimension) {
    return p->before[dimension] + p->input_dims[dimension] + p->after[dimension];
}

void tyf_pad_s16(const tyf_pad_s8_params *p, const int16_t *input, int16_t *output) {
    for (int32_t i = 0; i < padded(p, 0); i++) {
        for (int32_t j = 0; j < padded(p, 1); j++) {
            for (int32_t k = 0; k < padded(p, 2); k++) {
                const bool row_inside = inside(p, 0, i) && inside(p, 1, j) && inside(p, 2, k);
                for (int32_t l = 0; l < padded(p, 3); l++) {
                    *output++ = row_inside && inside(p, 3, l) ? *input++ : (int16_t)p->value;
                }
            }
        }
    }
}
