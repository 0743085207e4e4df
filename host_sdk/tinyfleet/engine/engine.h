/* What the host calls in a shared library of the engine; read by cffi, so no preprocessor lines. */

typedef struct tyf_model tyf_model;

/* Forget what earlier runs left in the arena; before the first run of a model with states. */
void tyf_engine_reset(const tyf_model *model, uint8_t *arena);

/* Run n inputs, one after the other; input and output are packed tensors. */
void tyf_engine_run(const tyf_model *model, uint8_t *arena, const uint8_t *inputs, uint8_t *outputs, uint32_t n);

/* Run one input and append each layer's output to layers, which has room for all of them. */
void tyf_engine_run_layers(const tyf_model *model, uint8_t *arena, const uint8_t *input, uint8_t *layers);

/* The front end on one window; the model has one. */
void tyf_engine_frontend(const tyf_model *model, const int16_t *samples, int8_t *input);

/* The input that a device makes from a seed. */
void tyf_engine_seeded_input(const tyf_model *model, uint32_t seed, uint32_t case_index, uint8_t *input);

/* SHA-256 of the manifest that the model was compiled from, 32 bytes. */
const uint8_t *tyf_engine_model_id(const tyf_model *model);
