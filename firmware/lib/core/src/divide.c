#include "tyf/core/divide.h"

uint64_t tyf_divide_u64(uint64_t value, uint32_t divisor) {
    const uint32_t high = (uint32_t)(value >> 32);
    uint32_t rest = high % divisor; /* below 2^31, so that a doubled one fits */
    uint32_t low = (uint32_t)value, quotient = 0;
    for (uint32_t bit = 0; bit < 32u; bit++) {
        rest = rest << 1 | low >> 31;
        low <<= 1;
        quotient <<= 1;
        if (rest >= divisor) {
            rest -= divisor;
            quotient |= 1u;
        }
    }
    return (uint64_t)(high / divisor) << 32 | quotient;
}
