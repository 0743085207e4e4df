/* DEPTHWISE_CONV_2D, int8, for cores with the DSP extension: four channels at a time, taps taken in pairs. */
#include "tyf/nn/dsp.h"
#include "tyf/nn/fixed.h"
#include "tyf/nn/kernels_dsp.h"

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
                                 const tyf_dsp_channel *channels, void *scratch, int8_t *output) {
    const tyf_window *win = &p->window;
    const int32_t pairs = (win->kernel_h * win->kernel_w + 1) / 2;
    const uint32_t offset = tyf_twice(p->input_offset);
    const int32_t low = p->activation_min, high = p->activation_max;
    const int8_t *taps[TYF_DEPTHWISE_DSP_MAX_TAPS + 1];
    int8_t *outside = scratch;
    memset(outside, (int)(uint8_t)(-p->input_offset), (size_t)p->input_c);
    for (int32_t oy = 0; oy < win->output_h; oy++) {
        for (int32_t ox = 0; ox < win->output_w; ox++) {
            find_taps(p, input, outside, oy, ox, taps);
            const uint32_t *w = weights;
            const tyf_dsp_channel *channel = channels;
            for (int32_t c = 0; c < p->input_c; c += 4, channel += 4) {
                int32_t s0 = channel[0].bias, s1 = channel[1].bias, s2 = channel[2].bias, s3 = channel[3].bias;
                const int8_t **tap = taps;
                for (int32_t pair = pairs; pair != 0; pair--) {
                    const uint32_t first = tyf_load_word(tap[0] + c);
                    const uint32_t second = tyf_load_word(tap[1] + c);
                    const uint32_t first02 = tyf_sxtab16(offset, first), second02 = tyf_sxtab16(offset, second);
                    s0 = tyf_smlad(w[0], tyf_low_halves(first02, second02), s0);
                    s2 = tyf_smlad(w[2], tyf_high_halves(first02, second02), s2);
                    const uint32_t first13 = tyf_sxtab16_ror8(offset, first);
                    const uint32_t second13 = tyf_sxtab16_ror8(offset, second);
                    s1 = tyf_smlad(w[1], tyf_low_halves(first13, second13), s1);
                    s3 = tyf_smlad(w[3], tyf_high_halves(first13, second13), s3);
                    w += 4;
                    tap += 2;
                }
                output[0] = (int8_t)tyf_clamp(tyf_dsp_requantize(s0, channel), low, high);
                output[1] = (int8_t)tyf_clamp(tyf_dsp_requantize(s1, channel + 1), low, high);
                output[2] = (int8_t)tyf_clamp(tyf_dsp_requantize(s2, channel + 2), low, high);
                output[3] = (int8_t)tyf_clamp(tyf_dsp_requantize(s3, channel + 3), low, high);
                output += 4;
            }
        }
    }
}
