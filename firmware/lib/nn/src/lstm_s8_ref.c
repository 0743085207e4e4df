/* LSTM of int8 with cells of int16, portable. */
#include <string.h>

#include "tyf/nn/fixed.h"
#include "tyf/nn/kernels.h"
#include "tyf/nn/sigmoid.h"

enum { INPUT, FORGET, CELL, OUTPUT };

static int32_t dot(const int8_t *values, int32_t offset, const int8_t *weights, int32_t count) {
    int32_t sum = 0;
    for (int32_t i = 0; i < count; i++) {
        sum += (values[i] + offset) * weights[i];
    }
    return sum;
}

static int32_t to_int16(int32_t x) {
    return tyf_clamp(x, INT16_MIN, INT16_MAX);
}

void tyf_lstm_s8(const tyf_lstm_s8_params *p, const uint16_t *table, const int8_t *input, const int8_t *weights,
                 const int8_t *recurrent, const int32_t *bias, int8_t *hidden, int16_t *cells, int8_t *output) {
    const int8_t *before = hidden;
    for (int32_t step = 0; step < p->steps; step++) {
        for (int32_t unit = 0; unit < p->units; unit++) {
            int32_t gates[4];
            for (int32_t gate = INPUT; gate <= OUTPUT; gate++) {
                const int32_t row = gate * p->units + unit;
                const int32_t of_input = dot(input, p->input_offset, weights + row * p->size, p->size) + bias[row];
                const int32_t of_before = dot(before, -p->output_offset, recurrent + row * p->units, p->units);
                gates[gate] = to_int16(
                    to_int16(tyf_requantize(of_input, p->input_multiplier[gate], p->input_shift[gate])) +
                    to_int16(tyf_requantize(of_before, p->recurrent_multiplier[gate], p->recurrent_shift[gate])));
            }
            const int32_t forget = tyf_logistic_q15(table, 3 * gates[FORGET]);
            const int32_t kept = to_int16(tyf_requantize(forget * cells[unit], p->forget_multiplier, p->forget_shift));
            const int32_t update = tyf_logistic_q15(table, 3 * gates[INPUT]) * tyf_tanh_q15(table, 3 * gates[CELL]);
            const int32_t added = to_int16(tyf_requantize(update, p->update_multiplier, p->update_shift));
            cells[unit] = (int16_t)tyf_clamp(to_int16(kept + added), p->cell_min, p->cell_max);
            const int32_t scaled = (cells[unit] * p->tanh_multiplier + ((1 << p->tanh_shift) >> 1)) >> p->tanh_shift;
            const int32_t shown = tyf_tanh_q15(table, scaled) * tyf_logistic_q15(table, 3 * gates[OUTPUT]);
            const int32_t result = tyf_requantize(shown, p->hidden_multiplier, p->hidden_shift) + p->output_offset;
            output[unit] = (int8_t)tyf_clamp(result, INT8_MIN, INT8_MAX);
        }
        before = output;
        input += p->size;
        output += p->units;
    }
    memcpy(hidden, before, (size_t)p->units);
}
