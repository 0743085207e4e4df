#include "tyf/model/frontend.h"

#include "tyf/nn/fixed.h"

void tyf_frontend_apply(const tyf_frontend *frontend, const int16_t *samples, int8_t *input) {
    for (uint32_t i = 0; i < frontend->window_samples; i++) {
        for (uint32_t c = 0; c < frontend->channels; c++) {
            const int32_t difference = *samples++ - frontend->offset[c];
            const int32_t scaled = tyf_requantize(difference, frontend->multiplier[c], frontend->shift[c]);
            /* The sum with the zero point fits: |difference| < 2^17 and the compiler caps the shift so that the product
             * does. */
            *input++ = (int8_t)tyf_clamp(scaled + frontend->zero_point, INT8_MIN, INT8_MAX);
        }
    }
}
