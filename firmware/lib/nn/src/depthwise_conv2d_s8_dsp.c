/* DEPTHWISE_CONV_2D, int8, for cores with the DSP extension: four channels at a time, taps taken in pairs. */
#include "tyf/nn/dsp.h"
#include "tyf/nn/fixed.h"
#include "tyf/nn/kernels.h"

/* Where each tap of one output pixel reads its channels; `outside` for taps that leave the image. */
static void find_taps(const tyf_depthwise_conv2d_s8_params *p, const int8_t *input, const int8_t *outside, int32_t oy,
                      int32_t ox, const int8_t **taps) {
    const tyf_window *win = &p->window;
    for (int32_t ky = 0; ky < win->kernel_h; ky++) {
        const int32_t y = oy * win->stride_h - win->pad_h + ky * win->dilation_h;
        for (int32_t kx = 0; kx < win->kernel_w; kx++) {
            const int32_t x = ox * win->stride_w - win->pad_w + kx * win->dilation_w;
            const int is_inside = y >= 0 && y < win->input_h && x >= 0 && x < win->input_w;
            *taps++ = is_inside ? input + (y * win->input_w + x) * p->input_c : outside;
        }
    }
    *taps = outside; /* partner of the last tap of an odd number; its weights are zero */
}

void tyf_depthwise_conv2d_s8_dsp(const tyf_depthwise_conv2d_s8_params *p, const int8_t *input, const uint32_t *weights,
                                 const int32_t *bias, const int32_t *multiplier, const int8_t *right_shift,
                                 void *scratch, int8_t *output) {
    const tyf_window *win = &p->window;
    const int32_t pairs = (win->kernel_h * win->kernel_w + 1) / 2;
    const uint32_t offset = tyf_twice(p->input_offset);
    const int8_t *taps[TYF_DEPTHWISE_DSP_MAX_TAPS + 1];
    int8_t *outside = scratch;
    memset(outside, (int)(uint8_t)(-p->input_offset), (size_t)p->input_c);
    for (int32_t oy = 0; oy < win->output_h; oy++) {
        for (int32_t ox = 0; ox < win->output_w; ox++) {
            find_taps(p, input, outside, oy, ox, taps);
            const uint32_t *w = weights;
            for (int32_t c = 0; c < p->input_c; c += 4) {
                int32_t s0 = bias[c], s1 = bias[c + 1], s2 = bias[c + 2], s3 = bias[c + 3];
                for (int32_t pair = 0; pair < pairs; pair++, w += 4) {
                    const uint32_t first = tyf_load_word(taps[2 * pair] + c);
                    const uint32_t second = tyf_load_word(taps[2 * pair + 1] + c);
                    const uint32_t first02 = tyf_sxtab16(offset, first), first13 = tyf_sxtab16_ror8(offset, first);
                    const uint32_t second02 = tyf_sxtab16(offset, second), second13 = tyf_sxtab16_ror8(offset, second);
                    s0 = tyf_smlad(w[0], (first02 & 0xFFFFu) | second02 << 16, s0);
                    s1 = tyf_smlad(w[1], (first13 & 0xFFFFu) | second13 << 16, s1);
                    s2 = tyf_smlad(w[2], first02 >> 16 | (second02 & 0xFFFF0000u), s2);
                    s3 = tyf_smlad(w[3], first13 >> 16 | (second13 & 0xFFFF0000u), s3);
                }
                const int32_t sums[4] = {s0, s1, s2, s3};
                for (int32_t i = 0; i < 4; i++) {
                    const int32_t scaled = tyf_requantize_right(sums[i], multiplier[c + i], right_shift[c + i]);
                    *output++ = (int8_t)tyf_clamp(scaled + p->output_offset, p->activation_min, p->activation_max);
                }
            }
        }
    }
}
