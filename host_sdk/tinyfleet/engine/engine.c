/* What every shared library of the engine offers, whatever its models are. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "tyf/model/frontend.h"
#include "tyf/model/model.h"
#include "tyf/model/seeded.h"

#include "engine.h"

void tyf_engine_reset(const tyf_model *model, uint8_t *arena) {
    tyf_model_reset(model, arena);
}

void tyf_engine_run(const tyf_model *model, uint8_t *arena, const uint8_t *inputs, uint8_t *outputs, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        memcpy(arena + model->input_offset, inputs + (size_t)i * model->input_bytes, model->input_bytes);
        tyf_model_run(model, arena, NULL, NULL);
        memcpy(outputs + (size_t)i * model->output_bytes, arena + model->output_offset, model->output_bytes);
    }
}

static void append_layer(void *context, uint32_t layer, const void *data, uint32_t bytes) {
    (void)layer;
    uint8_t **end = context;
    memcpy(*end, data, bytes);
    *end += bytes;
}

void tyf_engine_run_layers(const tyf_model *model, uint8_t *arena, const uint8_t *input, uint8_t *layers) {
    memcpy(arena + model->input_offset, input, model->input_bytes);
    tyf_model_run(model, arena, append_layer, &layers);
}

void tyf_engine_frontend(const tyf_model *model, const int16_t *samples, int8_t *input) {
    tyf_frontend_apply(model->frontend, samples, input);
}

void tyf_engine_seeded_input(const tyf_model *model, uint32_t seed, uint32_t case_index, uint8_t *input) {
    tyf_seeded_input(seed, case_index, model->input_dtype, input, model->input_bytes);
}

const uint8_t *tyf_engine_model_id(const tyf_model *model) {
    return model->model_id;
}
