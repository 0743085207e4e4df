/* Ops that only move bytes, portable. */
#include <string.h>

#include "tyf/nn/kernels.h"

static void copy_row(const tyf_copy_params *p, const uint8_t *from, uint8_t *to) {
    const int32_t last = TYF_COPY_DIMS - 1;
    if (p->run_bytes == 1) {
        for (int32_t i = 0; i < p->dims[last]; i++) {
            to[i * p->output_strides[last]] = from[i * p->input_strides[last]];
        }
        return;
    }
    for (int32_t i = 0; i < p->dims[last]; i++) {
        memcpy(to + i * p->output_strides[last], from + i * p->input_strides[last], (size_t)p->run_bytes);
    }
}

void tyf_copy(const tyf_copy_params *p, const void *input, void *output) {
    const uint8_t *from = (const uint8_t *)input + p->input_start;
    uint8_t *to = (uint8_t *)output + p->output_start;
    for (int32_t i = 0; i < p->dims[0]; i++) {
        for (int32_t j = 0; j < p->dims[1]; j++) {
            for (int32_t k = 0; k < p->dims[2]; k++) {
                for (int32_t l = 0; l < p->dims[3]; l++) {
                    const int32_t index[4] = {i, j, k, l};
                    int32_t source = 0, target = 0;
                    for (int32_t d = 0; d < 4; d++) {
                        source += index[d] * p->input_strides[d];
                        target += index[d] * p->output_strides[d];
                    }
                    copy_row(p, from + source, to + target);
                }
            }
        }
    }
}
