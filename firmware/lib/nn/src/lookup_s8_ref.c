/* Functions of one int8 value, portable. */
#include "tyf/nn/kernels.h"

void tyf_lookup_s8(const tyf_lookup_s8_params *p, const int8_t *table, const int8_t *input, int8_t *output) {
    for (int32_t i = 0; i < p->count; i++) {
        output[i] = table[(uint8_t)input[i]];
    }
}
