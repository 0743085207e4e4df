/* DEPTHWISE_CONV_2D, int8, for Helium: the geometry for the core, depthwise_planes_mve.S. */
#include <stddef.h>
#include <string.h>

#include "tyf/nn/kernels_mve.h"
#include "tyf/nn/mve.h"

/* Of the core; it knows the offsets of these members. u is an axis of the image along the lines of a plane, v the
 * other. */
typedef struct {
    const int8_t *input;
    const uint32_t *stream;
    int8_t *output;
    int8_t *write;                      /* where the first pixel goes in the plane of the first channel */
    const int8_t *read;                 /* the first window */
    const uint16_t *table, *table_tail; /* of each step along u, eight offsets in the output */
    int32_t groups;                     /* of four channels */
    int32_t input_u4, input_v;          /* bytes from pixel to fourth next pixel, from line to line */
    int32_t count_u, count_v;           /* pixels to lay out */
    int32_t line;                       /* bytes from channel to channel */
    int32_t lines;                      /* bytes from line to line, four channels */
    int32_t pairs;                      /* of output lines */
    int32_t pair_read, pair_output, last_read, last_output; /* from pair to pair, and to the last one */
    int32_t tail_back;                                      /* bytes by which the last step starts earlier */
    uint32_t tail_mask;
    uint32_t unused[3];
    uint32_t gather[4];       /* four pixels of a channel group */
    uint8_t scatter[16];      /* their bytes in the planes */
    uint16_t window[8];       /* four lines of two halfwords */
    uint16_t window_below[8]; /* the same for the output below, stride 2 */
} tyf_mve_planes;

_Static_assert(offsetof(tyf_mve_planes, gather) == 96 && sizeof(void *) == 4, "offsets in depthwise_planes_mve.S");

typedef void (*tyf_mve_planes_fn)(const tyf_mve_planes *planes);

void tyf_mve_depthwise_s1(const tyf_mve_planes *planes);
void tyf_mve_depthwise_s1_relu(const tyf_mve_planes *planes);
void tyf_mve_depthwise_s2(const tyf_mve_planes *planes);
void tyf_mve_depthwise_s2_relu(const tyf_mve_planes *planes);
void tyf_mve_depthwise_line(const tyf_mve_planes *planes);
void tyf_mve_depthwise_line_relu(const tyf_mve_planes *planes);

/* An axis of the image: sizes, padding, and bytes between neighbours in input and output. */
typedef struct {
    int32_t input, output, pad, input_step, output_step;
} axis;

static int32_t smaller(int32_t a, int32_t b) {
    return a < b ? a : b;
}

static void depthwise3x3(const tyf_depthwise_conv2d_s8_params *p, const axis *u, const axis *v, int32_t stride,
                         const int8_t *input, const uint32_t *stream, void *scratch, int8_t *output,
                         tyf_mve_planes_fn core) {
    const int32_t line = TYF_DEPTHWISE3X3_MVE_LINE_BYTES(u->output, stride);
    const int32_t height = TYF_DEPTHWISE3X3_MVE_LINES(v->output, stride);
    const int32_t steps = (u->output + 3) / 4;
    /* Stride 1 reads halfwords, so that a step starts at an even column. */
    const int32_t tail = u->output < 4 ? 0 : u->output - 4 + (stride == 1 ? u->output % 2 : 0);
    uint16_t *table = scratch;
    int8_t *plane = (int8_t *)(table + 8 * steps);
    for (int32_t step = 0; step < steps; step++) {
        const int32_t first = step == steps - 1 ? tail : 4 * step;
        for (int32_t i = 0; i < 4; i++) {
            table[8 * step + 2 * i] = (uint16_t)((first + i) * u->output_step);
            table[8 * step + 2 * i + 1] = (uint16_t)((first + i) * u->output_step + v->output_step);
        }
    }
    memset(plane, (int)(uint8_t)(-p->input_offset), (size_t)(4 * line * height));
    const int32_t pair_read = 2 * stride * 4 * line;
    const int32_t back = v->output % 2;
    tyf_mve_planes planes = {
        .input = input,
        .stream = stream,
        .output = output,
        .write = plane + v->pad * 4 * line + u->pad,
        .read = plane,
        .table = table,
        .table_tail = table + 8 * (steps - 1),
        .groups = p->input_c / 4,
        .input_u4 = 4 * u->input_step,
        .input_v = v->input_step,
        .count_u = smaller(u->input, (u->output - 1) * stride + 3 - u->pad),
        .count_v = smaller(v->input, (v->output - 1) * stride + 3 - v->pad),
        .line = line,
        .lines = 4 * line,
        .pairs = (v->output + 1) / 2,
        .pair_read = pair_read,
        .pair_output = 2 * v->output_step,
        .last_read = pair_read - back * stride * 4 * line,
        .last_output = (2 - back) * v->output_step,
        .tail_back = (4 * (steps - 1) - tail) * stride,
        .tail_mask = (1u << 4 * smaller(u->output - tail, 4)) - 1u,
    };
    for (int32_t i = 0; i < 4; i++) {
        planes.gather[i] = (uint32_t)(i * u->input_step);
        for (int32_t channel = 0; channel < 4; channel++) {
            planes.scatter[4 * i + channel] = (uint8_t)(channel * line + i);
        }
        planes.window[2 * i] = (uint16_t)(i * 4 * line);
        planes.window[2 * i + 1] = (uint16_t)(i * 4 * line + 2);
        planes.window_below[2 * i] = (uint16_t)((i + 2) * 4 * line);
        planes.window_below[2 * i + 1] = (uint16_t)((i + 2) * 4 * line + 2);
    }
    core(&planes);
    const int32_t elements = p->window.output_h * p->window.output_w * p->input_c;
    tyf_mve_clamp(output, elements, p->activation_min, p->activation_max);
}

/* Windows along lines. */
static void depthwise_line(const tyf_depthwise_conv2d_s8_params *p, const axis *u, const axis *v, int32_t taps,
                           const int8_t *input, const uint32_t *stream, void *scratch, int8_t *output,
                           tyf_mve_planes_fn core) {
    const int32_t line = TYF_DEPTHWISE_LINE_MVE_LINE_BYTES(u->output);
    const int32_t steps = (u->output + 7) / 8;
    const int32_t tail = u->output < 8 ? 0 : u->output - 8;
    uint16_t *table = scratch;
    int8_t *plane = (int8_t *)(table + 8 * steps);
    uint32_t mask = 0;
    for (int32_t step = 0; step < steps; step++) {
        const int32_t first = step == steps - 1 ? tail : 8 * step;
        for (int32_t i = 0; i < 8; i++) {
            const int32_t at = first + i / 2 + 4 * (i % 2);
            table[8 * step + i] = (uint16_t)(at * u->output_step);
            if (first == tail && at < u->output) {
                mask |= 3u << 2 * i;
            }
        }
    }
    memset(plane, (int)(uint8_t)(-p->input_offset), (size_t)(4 * line * v->output + 16));
    tyf_mve_planes planes = {
        .input = input,
        .stream = stream,
        .output = output,
        .write = plane + u->pad,
        .read = plane,
        .table = table,
        .table_tail = table + 8 * (steps - 1),
        .groups = p->input_c / 4,
        .input_u4 = 4 * u->input_step,
        .input_v = v->input_step,
        .count_u = smaller(u->input, u->output - 1 + taps - u->pad),
        .count_v = v->output,
        .line = line,
        .lines = 4 * line,
        .pairs = v->output,
        .pair_read = 4 * line,
        .pair_output = v->output_step,
        .last_read = 4 * line,
        .last_output = v->output_step,
        .tail_back = 8 * (steps - 1) - tail,
        .tail_mask = mask,
    };
    for (int32_t i = 0; i < 4; i++) {
        planes.gather[i] = (uint32_t)(i * u->input_step);
        for (int32_t channel = 0; channel < 4; channel++) {
            planes.scatter[4 * i + channel] = (uint8_t)(channel * line + i);
        }
    }
    core(&planes);
    const int32_t elements = p->window.output_h * p->window.output_w * p->input_c;
    tyf_mve_clamp(output, elements, p->activation_min, p->activation_max);
}

static void choose_axes(const tyf_depthwise_conv2d_s8_params *p, int32_t columns_across, const int8_t *input,
                        const uint32_t *stream, void *scratch, int8_t *output, tyf_mve_planes_fn core) {
    const tyf_window *win = &p->window;
    const int32_t c = p->input_c;
    const axis columns = {win->input_w, win->output_w, win->pad_w, c, c};
    const axis rows = {win->input_h, win->output_h, win->pad_h, win->input_w * c, win->output_w * c};
    const axis *u = columns_across ? &rows : &columns, *v = columns_across ? &columns : &rows;
    if (win->kernel_h == 1 || win->kernel_w == 1) {
        depthwise_line(p, u, v, win->kernel_h * win->kernel_w, input, stream, scratch, output, core);
    } else {
        depthwise3x3(p, u, v, win->stride_w, input, stream, scratch, output, core);
    }
}

void tyf_depthwise3x3_s1_s8_mve(const tyf_depthwise_conv2d_s8_params *p, int32_t columns_across, const int8_t *input,
                                const uint32_t *stream, void *scratch, int8_t *output) {
    choose_axes(p, columns_across, input, stream, scratch, output, tyf_mve_depthwise_s1);
}

void tyf_depthwise3x3_s1_relu_s8_mve(const tyf_depthwise_conv2d_s8_params *p, int32_t columns_across,
                                     const int8_t *input, const uint32_t *stream, void *scratch, int8_t *output) {
    choose_axes(p, columns_across, input, stream, scratch, output, tyf_mve_depthwise_s1_relu);
}

void tyf_depthwise3x3_s2_s8_mve(const tyf_depthwise_conv2d_s8_params *p, int32_t columns_across, const int8_t *input,
                                const uint32_t *stream, void *scratch, int8_t *output) {
    choose_axes(p, columns_across, input, stream, scratch, output, tyf_mve_depthwise_s2);
}

void tyf_depthwise3x3_s2_relu_s8_mve(const tyf_depthwise_conv2d_s8_params *p, int32_t columns_across,
                                     const int8_t *input, const uint32_t *stream, void *scratch, int8_t *output) {
    choose_axes(p, columns_across, input, stream, scratch, output, tyf_mve_depthwise_s2_relu);
}

void tyf_depthwise_line_s8_mve(const tyf_depthwise_conv2d_s8_params *p, int32_t columns_across, const int8_t *input,
                               const uint32_t *stream, void *scratch, int8_t *output) {
    choose_axes(p, columns_across, input, stream, scratch, output, tyf_mve_depthwise_line);
}

void tyf_depthwise_line_relu_s8_mve(const tyf_depthwise_conv2d_s8_params *p, int32_t columns_across,
                                    const int8_t *input, const uint32_t *stream, void *scratch, int8_t *output) {
    choose_axes(p, columns_across, input, stream, scratch, output, tyf_mve_depthwise_line_relu);
}
