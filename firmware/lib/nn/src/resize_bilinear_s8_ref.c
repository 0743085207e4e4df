/* RESIZE_BILINEAR, int8, portable. */
#include "tyf/nn/kernels.h"

#define ONE 1024

/* The pixels between which a place lies, and how far it is from the first: below 0 before the image, else below ONE. */
typedef struct {
    int32_t before, behind, distance;
} neighbours;

static neighbours find(int32_t place, int32_t size) {
    const int32_t before = place > 0 ? place / ONE : 0;
    const int32_t behind = place > 0 ? (place + ONE - 1) / ONE : 0;
    return (neighbours){before, behind < size ? behind : size - 1, place - before * ONE};
}

void tyf_resize_bilinear_s8(const tyf_resize_bilinear_s8_params *p, const int8_t *input, int8_t *output) {
    for (int32_t y = 0; y < p->output_h; y++) {
        const neighbours rows = find(y * p->scale_h + p->start_h - ONE / 2, p->input_h);
        const int8_t *top = input + rows.before * p->input_w * p->channels;
        const int8_t *bottom = input + rows.behind * p->input_w * p->channels;
        for (int32_t x = 0; x < p->output_w; x++) {
            const neighbours columns = find(x * p->scale_w + p->start_w - ONE / 2, p->input_w);
            for (int32_t c = 0; c < p->channels; c++) {
                const int32_t left = columns.before * p->channels + c;
                const int32_t right = columns.behind * p->channels + c;
                /* Weights lie in [-512, 1536], and are negative only where both neighbours are one pixel. */
                const int32_t upper = top[left] * (ONE - columns.distance) + top[right] * columns.distance;
                const int32_t lower = bottom[left] * (ONE - columns.distance) + bottom[right] * columns.distance;
                const int32_t sum = upper * (ONE - rows.distance) + lower * rows.distance;
                *output++ = (int8_t)((sum + (sum > 0 ? 1 << 19 : -(1 << 19))) / (1 << 20));
            }
        }
    }
}
