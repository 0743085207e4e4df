/**
 * Helpers of the kernels for cores with the DSP extension (Cortex-M4, M7, M33): two int16 products per instruction.
 * Only files named *_dsp.c include it.
 */
#ifndef TYF_NN_DSP_H
#define TYF_NN_DSP_H

#include <arm_acle.h>
#include <stdint.h>
#include <string.h>

#include "tyf/nn/fixed.h"
#include "tyf/nn/kernels_dsp.h"

static inline int32_t tyf_smaller(int32_t a, int32_t b) {
    return a < b ? a : b;
}

/** Four bytes as one word, from any address. */
static inline uint32_t tyf_load_word(const int8_t *bytes) {
    uint32_t word;
    memcpy(&word, bytes, sizeof word);
    return word;
}

/** A word as four bytes, to any address. */
static inline void tyf_store_word(int8_t *bytes, uint32_t word) {
    memcpy(bytes, &word, sizeof word);
}

/** Bytes 0 and 2 of a word, sign-extended to two int16. */
static inline uint32_t tyf_sxtb16(uint32_t word) {
    return (uint32_t)__sxtb16((int8x4_t)word);
}

/** Bytes 1 and 3 of a word, sign-extended to two int16. The compiler never folds the rotation by itself. */
static inline uint32_t tyf_sxtb16_ror8(uint32_t word) {
    uint32_t result;
    __asm("sxtb16 %0, %1, ror #8" : "=r"(result) : "r"(word));
    return result;
}

/** Bytes 0 and 2 of a word, sign-extended, plus the two int16 of `add`. */
static inline uint32_t tyf_sxtab16(uint32_t add, uint32_t word) {
    uint32_t result;
    __asm("sxtab16 %0, %1, %2" : "=r"(result) : "r"(add), "r"(word));
    return result;
}

/** Bytes 1 and 3 of a word, sign-extended, plus the two int16 of `add`. */
static inline uint32_t tyf_sxtab16_ror8(uint32_t add, uint32_t word) {
    uint32_t result;
    __asm("sxtab16 %0, %1, %2, ror #8" : "=r"(result) : "r"(add), "r"(word));
    return result;
}

/** sum + the products of the low and of the high halves. */
static inline int32_t tyf_smlad(uint32_t a, uint32_t b, int32_t sum) {
    return __smlad((int16x2_t)a, (int16x2_t)b, sum);
}

/** The same int16 twice in a word. */
static inline uint32_t tyf_twice(int32_t value) {
    return (uint32_t)(value & 0xFFFF) | (uint32_t)value << 16;
}

/** The low halves of two words side by side: `first` below `second`. */
static inline uint32_t tyf_low_halves(uint32_t first, uint32_t second) {
    uint32_t result;
    __asm("pkhbt %0, %1, %2, lsl #16" : "=r"(result) : "r"(first), "r"(second));
    return result;
}

/** The high halves of two words side by side: `first` below `second`. */
static inline uint32_t tyf_high_halves(uint32_t first, uint32_t second) {
    uint32_t result;
    __asm("pkhtb %0, %1, %2, asr #16" : "=r"(result) : "r"(second), "r"(first));
    return result;
}

/**
 * tyf_requantize() of half of `doubled`, with output offset and clamp to int8, in four instructions: the high multiply
 * rounds half up, and round (2^(shift - 1) + (output_offset << shift)) less one for a negative sum makes the shift
 * round half away from zero. Equal for |doubled| < 2^31 and shift in 1 .. 22.
 */
static inline int32_t tyf_dsp_requantize_doubled(int32_t doubled, int32_t multiplier, int32_t round, int32_t shift) {
    int32_t scaled;
    __asm("smmlar %0, %1, %2, %3" : "=r"(scaled) : "r"(doubled), "r"(multiplier), "r"(round + (doubled >> 31)));
    int32_t clamped;
    __asm("ssat %0, #8, %1" : "=r"(clamped) : "r"(scaled >> shift));
    return clamped;
}

/** The same for a sum of |sum| < 2^30. */
static inline int32_t tyf_dsp_requantize(int32_t sum, const tyf_dsp_channel *channel) {
    return tyf_dsp_requantize_doubled((int32_t)((uint32_t)sum << 1), channel->multiplier, channel->round,
                                      channel->shift);
}

/** Clamp what a kernel wrote to a range narrower than int8. */
static inline void tyf_dsp_clamp(int8_t *values, int32_t count, int32_t low, int32_t high) {
    if (low <= INT8_MIN && high >= INT8_MAX) {
        return;
    }
    for (int32_t i = 0; i < count; i++) {
        values[i] = (int8_t)tyf_clamp(values[i], low, high);
    }
}

/** Copy a few bytes: words, the last one from the end, where the library's memcpy() takes byte by byte. */
static inline void tyf_copy_bytes(int8_t *to, const int8_t *from, int32_t count) {
    if (count >= 4) {
        const int8_t *last = from + count - 4;
        int8_t *to_last = to + count - 4;
        for (; from < last; from += 4, to += 4) {
            tyf_store_word(to, tyf_load_word(from));
        }
        tyf_store_word(to_last, tyf_load_word(last));
    } else {
        for (int32_t i = 0; i < count; i++) {
            to[i] = from[i];
        }
    }
}

/** Copy the window of one output pixel of a convolution as bytes, zero points where it leaves the image. */
static inline void tyf_copy_window(const tyf_conv2d_s8_params *p, const int8_t *input, int32_t oy, int32_t ox,
                                   int8_t *window) {
    const tyf_window *win = &p->window;
    const int32_t y0 = oy * win->stride_h - win->pad_h;
    const int32_t x0 = ox * win->stride_w - win->pad_w;
    const int32_t left = x0 < 0 ? -x0 : 0;
    const int32_t end = x0 + win->kernel_w > win->input_w ? win->input_w - x0 : win->kernel_w;
    const int32_t row_bytes = win->kernel_w * p->input_c;
    if (left > 0 || end < win->kernel_w || y0 < 0 || y0 + win->kernel_h > win->input_h) {
        memset(window, (int)(uint8_t)(-p->input_offset), (size_t)(win->kernel_h * row_bytes));
    }
    if (left >= end) {
        return;
    }
    const int32_t count = (end - left) * p->input_c;
    const int8_t *from = input + (y0 * win->input_w + x0 + left) * p->input_c;
    int8_t *to = window + left * p->input_c;
    for (int32_t y = y0; y < y0 + win->kernel_h; y++) {
        if (y >= 0 && y < win->input_h) {
            tyf_copy_bytes(to, from, count);
        }
        from += win->input_w * p->input_c;
        to += row_bytes;
    }
}

/** Two words of four activations, see tyf_expand(). 127 - a1 lies in 0 .. 255 and is a1 ^ 0x7F. */
#define TYF_EXPAND_WORD                                                                                                \
    "ldr %[word], [%[source]], #4\n"                                                                                   \
    "sxtb16 %[other], %[word], ror #8\n"                                                                               \
    "rev16 %[word], %[word]\n"                                                                                         \
    "eor %[word], %[word], #0x007F007F\n"                                                                              \
    "strd %[other], %[word], [%[to]], %[step]\n"

/**
 * Expand activations for weights in halves 256 * w1 + w0: of each four bytes a0 .. a3, (a1, a3) and
 * (256 * a0 - a1 + 127, 256 * a2 - a3 + 127). A half times a1, plus its low byte times the second, is
 * 256 * (w0 * a0 + w1 * a1) + 127 * w0: one unpacked operand instead of two.
 *
 * @param source  bytes, a multiple of 4
 * @param groups  bytes / 4
 * @param to      two words a group
 * @param step    words between groups, 2 when they are packed; a constant
 */
__attribute__((always_inline)) static inline void tyf_expand(const int8_t *source, int32_t groups, uint32_t *to,
                                                             int32_t step) {
    uint32_t word, other;
    for (; groups >= 4; groups -= 4) {
        __asm volatile(TYF_EXPAND_WORD TYF_EXPAND_WORD TYF_EXPAND_WORD TYF_EXPAND_WORD
                       : [source] "+r"(source), [to] "+r"(to), [word] "=&r"(word), [other] "=&r"(other)
                       : [step] "i"(4 * step)
                       : "memory");
    }
    for (; groups > 0; groups--) {
        __asm volatile(TYF_EXPAND_WORD
                       : [source] "+r"(source), [to] "+r"(to), [word] "=&r"(word), [other] "=&r"(other)
                       : [step] "i"(4 * step)
                       : "memory");
    }
}

/**
 * Widen activations for tyf_smlad(): of each four bytes, (0, 2) and (1, 3) become int16 with the offset added.
 *
 * @param source  bytes, a multiple of 4
 * @param groups  bytes / 4
 * @param offset  tyf_twice(-zero_point)
 * @param to      two words a group
 * @param step    words between groups, 2 when they are packed
 */
static inline void tyf_widen(const int8_t *source, int32_t groups, uint32_t offset, uint32_t *to, int32_t step) {
    for (int32_t i = 0; i < groups; i++) {
        const uint32_t word = tyf_load_word(source);
        to[0] = tyf_sxtab16(offset, word);
        to[1] = tyf_sxtab16_ror8(offset, word);
        source += 4;
        to += step;
    }
}

/** Four channels of `count` pixels into four planes, `plane_bytes` apart: blocks of 4 x 4 bytes, transposed. */
static inline void tyf_take_apart(const int8_t *input, int32_t pixel_bytes, int32_t count, int32_t plane_bytes,
                                  int8_t *to) {
    const uint32_t even = 0x00FF00FFu;
    int8_t *to2 = to + 2 * plane_bytes;
    for (; count >= 4; count -= 4) {
        const uint32_t a = tyf_load_word(input), b = tyf_load_word(input + pixel_bytes);
        input += 2 * pixel_bytes;
        const uint32_t c = tyf_load_word(input), d = tyf_load_word(input + pixel_bytes);
        input += 2 * pixel_bytes;
        uint32_t ac = tyf_low_halves(a, c), bd = tyf_low_halves(b, d);
        uint32_t swapped = ((ac >> 8) ^ bd) & even;
        tyf_store_word(to, ac ^ swapped << 8);
        tyf_store_word(to + plane_bytes, bd ^ swapped);
        ac = tyf_high_halves(a, c);
        bd = tyf_high_halves(b, d);
        swapped = ((ac >> 8) ^ bd) & even;
        tyf_store_word(to2, ac ^ swapped << 8);
        tyf_store_word(to2 + plane_bytes, bd ^ swapped);
        to += 4;
        to2 += 4;
    }
    for (; count > 0; count--) {
        const uint32_t pixel = tyf_load_word(input);
        input += pixel_bytes;
        to[0] = (int8_t)pixel;
        to[plane_bytes] = (int8_t)(pixel >> 8);
        to2[0] = (int8_t)(pixel >> 16);
        to2[plane_bytes] = (int8_t)(pixel >> 24);
        to++;
        to2++;
    }
}

#endif
