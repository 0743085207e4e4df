/* Entry points of a model's shared library on the host. */
#include <stdint.h>
#include <string.h>

#include "model.h"
#include "tyf/model/frontend.h"
#include "tyf/model/seeded.h"

#include "engine.h"

void tyf_engine_run(uint8_t *arena, const uint8_t *inputs, uint8_t *outputs, uint32_t n) {
    const tyf_model *model = &TYF_APP_MODEL;
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

void tyf_engine_run_layers(uint8_t *arena, const uint8_t *input, uint8_t *layers) {
    const tyf_model *model = &TYF_APP_MODEL;
    memcpy(arena + model->input_offset, input, model->input_bytes);
    tyf_model_run(model, arena, append_layer, &layers);
}

void tyf_engine_frontend(const int16_t *samples, int8_t *input) {
    tyf_frontend_apply(TYF_APP_MODEL.frontend, samples, input);
}

void tyf_engine_seeded_input(uint32_t seed, uint32_t case_index, uint8_t *input) {
    tyf_seeded_input(seed, case_index, TYF_APP_MODEL.input_dtype, input, TYF_APP_MODEL.input_bytes);
}

const uint8_t *tyf_engine_model_id(void) {
    return TYF_APP_MODEL.model_id;
}
