/* Runs of bytes from places in two tables, portable. */
#include <string.h>

#include "tyf/nn/kernels.h"

void tyf_gather(const tyf_gather_params *p, const int32_t *row_offsets, const int32_t *column_offsets,
                const void *input, void *output) {
    uint8_t *to = output;
    for (int32_t i = 0; i < p->rows; i++) {
        const uint8_t *row = (const uint8_t *)input + row_offsets[i];
        for (int32_t j = 0; j < p->columns; j++) {
            memcpy(to, row + column_offsets[j], (size_t)p->run_bytes);
            to += p->run_bytes;
        }
    }
}
