/* FULLY_CONNECTED, int8, for Helium: rows for the core, fully_connected_rows_mve.S. */
#include "tyf/nn/kernels_mve.h"
#include "tyf/nn/mve.h"

/* Of the core; it knows the offsets of these members. */
typedef struct {
    const int8_t *input;
    const uint32_t *stream;
    int8_t *output;
    int32_t units;
    int32_t blocks; /* of 16 in the depth */
} tyf_mve_dense_run;

typedef void (*tyf_mve_dense_fn)(const tyf_mve_dense_run *run);

void tyf_mve_dense(const tyf_mve_dense_run *run);
void tyf_mve_dense_relu(const tyf_mve_dense_run *run);

/* Rows whose depth is no multiple of 16 are copied, so that nothing is read behind the input. */
static void dense(const tyf_fully_connected_s8_params *p, const int8_t *input, const uint32_t *stream, void *scratch,
                  int8_t *output, tyf_mve_dense_fn core) {
    tyf_mve_dense_run run = {input, stream, output, p->units, (p->depth + 15) / 16};
    for (int32_t row = 0; row < p->rows; row++) {
        if (p->depth % 16 != 0) {
            tyf_mve_copy(input, p->depth, scratch);
            run.input = scratch;
        } else {
            run.input = input;
        }
        core(&run);
        input += p->depth;
        run.output += p->units;
    }
    tyf_mve_clamp(output, p->rows * p->units, p->activation_min, p->activation_max);
}

void tyf_fully_connected_s8_mve(const tyf_fully_connected_s8_params *p, const int8_t *input, const uint32_t *stream,
                                void *scratch, int8_t *output) {
    dense(p, input, stream, scratch, output, tyf_mve_dense);
}

void tyf_fully_connected_relu_s8_mve(const tyf_fully_connected_s8_params *p, const int8_t *input,
                                     const uint32_t *stream, void *scratch, int8_t *output) {
    dense(p, input, stream, scratch, output, tyf_mve_dense_relu);
}
