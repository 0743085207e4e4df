/* FULLY_CONNECTED, int8, for ARMv6-M. */
#include "tyf/nn/fixed.h"
#include "tyf/nn/kernels_v6m.h"

/* What fully_connected_block_v6m.S reads, by offset. */
typedef struct {
    const int8_t *input;
    int8_t *output;
    const uint32_t *weights;
    const uint8_t *schedule;
    const int32_t *starts;
    const int32_t *scalings;
    int32_t scaling_step;
    int32_t units;
} tyf_v6m_dense_work;

#define SCALING_BYTES 24

void tyf_v6m_dense(const tyf_v6m_dense_work *work);

static void dense(const tyf_fully_connected_s8_params *p, const int8_t *input, const uint32_t *weights,
                  const uint8_t *schedule, const int32_t *starts, const int32_t *scalings, int32_t scaling_step,
                  int8_t *output) {
    tyf_v6m_dense_work work = {
        .input = input,
        .output = output,
        .weights = weights,
        .schedule = schedule,
        .starts = starts,
        .scalings = scalings,
        .scaling_step = scaling_step,
        .units = p->units,
    };
    for (int32_t row = p->rows; row != 0; row--) {
        tyf_v6m_dense(&work);
        work.input += p->depth;
        work.output += p->units;
    }
    if (p->activation_min > INT8_MIN || p->activation_max < INT8_MAX) {
        for (int32_t i = p->rows * p->units; i != 0; i--, output++) {
            *output = (int8_t)tyf_clamp(*output, p->activation_min, p->activation_max);
        }
    }
}

void tyf_fully_connected_s8_v6m(const tyf_fully_connected_s8_params *p, const int8_t *input, const uint32_t *weights,
                                const uint8_t *schedule, const int32_t *starts, const int32_t *scalings,
                                int8_t *output) {
    dense(p, input, weights, schedule, starts, scalings, SCALING_BYTES, output);
}

void tyf_fully_connected_shared_s8_v6m(const tyf_fully_connected_s8_params *p, const int8_t *input,
                                       const uint32_t *weights, const uint8_t *schedule, const int32_t *starts,
                                       const int32_t *scalings, int8_t *output) {
    dense(p, input, weights, schedule, starts, scalings, 0, output);
}

uint32_t tyf_dense_v6m_schedule_bytes(const uint8_t *schedule, uint32_t bytes, uint32_t blocks, uint32_t depth) {
    uint32_t at = 0, left = depth;
    while (blocks != 0) {
        if (at == bytes) {
            return 0;
        }
        const uint32_t length = schedule[at++];
        if (length > left || (length == 0) != (left == 0)) {
            return 0;
        }
        left -= length;
        if (length == 0) {
            left = depth;
            blocks--;
        }
    }
    return at;
}
