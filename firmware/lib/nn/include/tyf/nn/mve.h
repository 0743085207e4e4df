/**
 * Helpers of the kernels for Helium. Only files named *_mve.c include it.
 */
#ifndef TYF_NN_MVE_H
#define TYF_NN_MVE_H

#include <arm_mve.h>
#include <stdint.h>

/** Windows of an image to columns; conv2d_columns_mve.S knows the offsets of these members. */
typedef struct {
    const int8_t *source;
    int8_t *column;
    int32_t pixels;
    int32_t pixel_step;  /* bytes from window to window */
    int32_t column_step; /* from column to column */
    int32_t rows;
    int32_t row_step;        /* from row to row of a window */
    int32_t row_bytes;       /* of a row of a window */
    int32_t column_row_step; /* from row to row of a column */
} tyf_mve_windows;

/** Reads and writes no other bytes. */
void tyf_mve_copy_windows(const tyf_mve_windows *windows);

/** Copy up to 16 bytes; reads and writes no others. */
static inline void tyf_mve_copy_part(const int8_t *from, mve_pred16_t part, int8_t *to) {
    vstrbq_p_s8(to, vldrbq_z_s8(from, part), part);
}

/** Copy any number of bytes. */
static inline void tyf_mve_copy(const int8_t *from, int32_t bytes, int8_t *to) {
    for (; bytes > 0; bytes -= 16) {
        tyf_mve_copy_part(from, vctp8q((uint32_t)bytes), to);
        from += 16;
        to += 16;
    }
}

/** Clamp bytes in place; nothing to do where the range is that of int8. */
static inline void tyf_mve_clamp(int8_t *values, int32_t count, int32_t low, int32_t high) {
    if (low == INT8_MIN && high == INT8_MAX) {
        return;
    }
    const int8x16_t lowest = vdupq_n_s8((int8_t)low), highest = vdupq_n_s8((int8_t)high);
    for (; count > 0; count -= 16) {
        const mve_pred16_t part = vctp8q((uint32_t)count);
        const int8x16_t clamped = vminq_s8(vmaxq_s8(vldrbq_z_s8(values, part), lowest), highest);
        vstrbq_p_s8(values, clamped, part);
        values += 16;
    }
}

#endif
