/* FULLY_CONNECTED, int8, for cores with the DSP extension: four units share each load of the input; any sums. */
#include "tyf/nn/dsp.h"
#include "tyf/nn/fixed.h"
#include "tyf/nn/kernels_dsp.h"

static void four_units(const uint32_t *w, const uint32_t *x, int32_t groups, int32_t sums[4]) {
    int32_t s0 = sums[0], s1 = sums[1], s2 = sums[2], s3 = sums[3];
    for (int32_t g = groups; g != 0; g--) {
        const uint32_t x02 = x[0], x13 = x[1];
        const uint32_t w0 = w[0], w1 = w[1], w2 = w[2], w3 = w[3];
        s0 = tyf_smlad(tyf_sxtb16(w0), x02, s0);
        s0 = tyf_smlad(tyf_sxtb16_ror8(w0), x13, s0);
        s1 = tyf_smlad(tyf_sxtb16(w1), x02, s1);
        s1 = tyf_smlad(tyf_sxtb16_ror8(w1), x13, s1);
        s2 = tyf_smlad(tyf_sxtb16(w2), x02, s2);
        s2 = tyf_smlad(tyf_sxtb16_ror8(w2), x13, s2);
        s3 = tyf_smlad(tyf_sxtb16(w3), x02, s3);
        s3 = tyf_smlad(tyf_sxtb16_ror8(w3), x13, s3);
        w += 4;
        x += 2;
    }
    sums[0] = s0;
    sums[1] = s1;
    sums[2] = s2;
    sums[3] = s3;
}

void tyf_fully_connected_wide_s8_dsp(const tyf_fully_connected_s8_params *p, const int8_t *input,
                                     const uint32_t *weights, const tyf_dsp_channel *channels, void *scratch,
                                     int8_t *output) {
    const int32_t groups = (p->depth + 3) / 4;
    const int32_t whole = p->depth / 4;
    uint32_t *x = scratch;
    for (int32_t row = 0; row < p->rows; row++) {
        tyf_widen(input, whole, tyf_twice(p->input_offset), x, 2);
        if (whole != groups) {
            int8_t rest[4] = {0, 0, 0, 0}; /* meets weights of zero */
            memcpy(rest, input + 4 * whole, (size_t)(p->depth - 4 * whole));
            tyf_widen(rest, 1, tyf_twice(p->input_offset), x + 2 * whole, 2);
        }
        for (int32_t unit = 0; unit < p->units; unit += 4) {
            const int32_t left = p->units - unit < 4 ? p->units - unit : 4;
            const tyf_dsp_channel *channel = channels + unit;
            int32_t sums[4] = {channel[0].bias, channel[1].bias, channel[2].bias, channel[3].bias};
            four_units(weights + (size_t)unit * (size_t)groups, x, groups, sums);
            for (int32_t i = 0; i < left; i++) {
                const int32_t value = tyf_dsp_requantize(sums[i], channel + i);
                *output++ = (int8_t)tyf_clamp(value, p->activation_min, p->activation_max);
            }
        }
        input += p->depth;
    }
}
