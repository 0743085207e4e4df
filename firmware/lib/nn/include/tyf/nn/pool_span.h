/** Which part of a pooling window lies inside the image: for the pools of every element type. */
#ifndef TYF_NN_POOL_SPAN_H
#define TYF_NN_POOL_SPAN_H

#include "tyf/nn/kernels.h"

/** Rows y0 .. y1 - 1 and columns x0 .. x1 - 1 of the input. */
typedef struct {
    int32_t y0, y1, x0, x1;
} tyf_pool_span;

/** The part of the window of output (oy, ox) that lies inside the image. */
static inline tyf_pool_span tyf_clip_window(const tyf_window *win, int32_t oy, int32_t ox) {
    const int32_t y = oy * win->stride_h - win->pad_h;
    const int32_t x = ox * win->stride_w - win->pad_w;
    const tyf_pool_span inside = {
        .y0 = y < 0 ? 0 : y,
        .y1 = y + win->kernel_h > win->input_h ? win->input_h : y + win->kernel_h,
        .x0 = x < 0 ? 0 : x,
        .x1 = x + win->kernel_w > win->input_w ? win->input_w : x + win->kernel_w,
    };
    return inside;
}

#endif
