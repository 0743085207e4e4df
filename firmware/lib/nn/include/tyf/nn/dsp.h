/**
 * Helpers of the kernels for cores with the DSP extension (Cortex-M4, M7, M33): two int16 products per instruction.
 * Only files named *_dsp.c include it.
 */
#ifndef TYF_NN_DSP_H
#define TYF_NN_DSP_H

#include <arm_acle.h>
#include <stdint.h>
#include <string.h>

/** Four bytes as one word, from any address. */
static inline uint32_t tyf_load_word(const int8_t *bytes) {
    uint32_t word;
    memcpy(&word, bytes, sizeof word);
    return word;
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

/**
 * tyf_requantize() for a shift to the right, in fewer instructions. Equal for |x| < 2^30.
 *
 * @param right  1 .. 31
 */
static inline int32_t tyf_requantize_right(int32_t x, int32_t multiplier, int32_t right) {
    const int32_t high = (int32_t)(((int64_t)x * multiplier + (INT64_C(1) << 30)) >> 31);
    return (high + (int32_t)(UINT32_C(1) << (right - 1)) + (high >> 31)) >> right;
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

#endif
