#include "tyf/model/seeded.h"

#include "tyf/core/wire.h"

/* A 32-bit finalizer with full avalanche. */
static uint32_t mix(uint32_t x) {
    x ^= x >> 16;
    x *= UINT32_C(0x7FEB352D);
    x ^= x >> 15;
    x *= UINT32_C(0x846CA68B);
    return x ^ (x >> 16);
}

static int8_t stream_byte(uint32_t base, uint32_t case_index, uint32_t position) {
    if (case_index < 2u) {
        return case_index == 0u ? INT8_MIN : INT8_MAX;
    }
    return (int8_t)(mix(base + position / 4u) >> (8u * (position % 4u)));
}

void tyf_seeded_input(uint32_t seed, uint32_t case_index, uint8_t dtype, void *data, uint32_t bytes) {
    const uint32_t base = mix(seed + TYF_SEEDED_GOLDEN * (case_index + 1u));
    if (dtype == TYF_DTYPE_FLOAT32) {
        float *values = data;
        for (uint32_t i = 0; i < bytes / sizeof(float); i++) {
            values[i] = (float)stream_byte(base, case_index, i) / 16.0f;
        }
        return;
    }
    int8_t *values = data;
    for (uint32_t i = 0; i < bytes; i++) {
        values[i] = stream_byte(base, case_index, i);
    }
}
