/* ADD, int8, portable. */
#include "tyf/nn/fixed.h"
#include "tyf/nn/kernels.h"

/* Both inputs are scaled up by this power of two before they meet; |q - zero_point| <= 255 leaves 3 bits to spare. */
#define LEFT_SHIFT 20

static int32_t scaled(const tyf_add_s8_input *in, int8_t value) {
    return tyf_requantize((value + in->offset) * (1 << LEFT_SHIFT), in->multiplier, in->shift);
}

void tyf_add_s8(const tyf_add_s8_params *p, const int8_t *a, const int8_t *b, int8_t *output) {
    for (int32_t i = 0; i < p->dims[0]; i++) {
        for (int32_t j = 0; j < p->dims[1]; j++) {
            for (int32_t k = 0; k < p->dims[2]; k++) {
                const int8_t *row_a = a + i * p->a.strides[0] + j * p->a.strides[1] + k * p->a.strides[2];
                const int8_t *row_b = b + i * p->b.strides[0] + j * p->b.strides[1] + k * p->b.strides[2];
                for (int32_t l = 0; l < p->dims[3]; l++) {
                    const int32_t sum =
                        scaled(&p->a, row_a[l * p->a.strides[3]]) + scaled(&p->b, row_b[l * p->b.strides[3]]);
                    const int32_t result =
                        tyf_requantize(sum, p->output_multiplier, p->output_shift) + p->output_offset;
                    *output++ = (int8_t)tyf_clamp(result, p->activation_min, p->activation_max);
                }
            }
        }
    }
}
