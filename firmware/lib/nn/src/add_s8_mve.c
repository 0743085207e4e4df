/* ADD, int8, for Helium: one scaled input is a multiplication by 2^19, the other a look into a table. */
#include <stdbool.h>

#include "tyf/nn/kernels_mve.h"
#include "tyf/nn/mve.h"

/* Four elements; the requantisation is that of mve.inc. */
static inline int32x4_t add_four(const tyf_mve_add *p, bool is_relu, int32x4_t shifted, uint32x4_t looked_up,
                                 const int32_t *table) {
    const int32x4_t sum = vmlaq_n_s32(vldrwq_gather_shifted_offset_s32(table, looked_up), shifted, 1 << 19);
    int32x4_t scaled = vqrdmulhq_n_s32(sum, p->multiplier);
    if (!is_relu) {
        scaled = vqdmlahq_n_s32(scaled, sum, 1);
    }
    return vshrq_n_s32(vqshlq_r_s32(vqaddq_n_s32(scaled, p->round), p->left), 24);
}

static inline void add(const tyf_mve_add *params, bool is_relu, const int8_t *shifted, const int8_t *looked_up,
                       const int32_t *table, int8_t *output) {
    const tyf_mve_add p = *params;
    const uint8_t *index = (const uint8_t *)looked_up;
    for (int32_t block = p.elements / 16; block != 0; block--) {
        for (int32_t i = 0; i < 16; i += 4) {
            const int32x4_t sum = add_four(&p, is_relu, vldrbq_s32(shifted + i), vldrbq_u32(index + i), table);
            vstrbq_s32(output + i, sum);
        }
        shifted += 16;
        index += 16;
        output += 16;
    }
    for (int32_t left = p.elements % 16; left > 0; left -= 4) {
        const mve_pred16_t part = vctp32q((uint32_t)left);
        const int32x4_t sum = add_four(&p, is_relu, vldrbq_z_s32(shifted, part), vldrbq_z_u32(index, part), table);
        vstrbq_p_s32(output, sum, part);
        shifted += 4;
        index += 4;
        output += 4;
    }
}

void tyf_add_s8_mve(const tyf_mve_add *p, const int8_t *shifted, const int8_t *looked_up, const int32_t *table,
                    int8_t *output) {
    add(p, false, shifted, looked_up, table, output);
    tyf_mve_clamp(output, p->elements, p->activation_min, p->activation_max);
}

void tyf_add_relu_s8_mve(const tyf_mve_add *p, const int8_t *shifted, const int8_t *looked_up, const int32_t *table,
                         int8_t *output) {
    add(p, true, shifted, looked_up, table, output);
    tyf_mve_clamp(output, p->elements, p->activation_min, p->activation_max);
}
