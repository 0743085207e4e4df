/**
 * A model: what the generated model.c defines, or blob.h opens, and everything else runs.
 *
 *     #include "model.h"                       // generated: TYF_APP_MODEL, TYF_APP_ARENA_BYTES
 *
 *     static _Alignas(16) uint8_t arena[TYF_APP_ARENA_BYTES] TYF_APP_ARENA_PLACE();
 *
 *     tyf_model_reset(&TYF_APP_MODEL, arena);
 *     memcpy(arena + TYF_APP_MODEL.input_offset, window, TYF_APP_MODEL.input_bytes);
 *     tyf_model_run(&TYF_APP_MODEL, arena, NULL, NULL);
 *     const int8_t *scores = (const int8_t *)(arena + TYF_APP_MODEL.output_offset);
 */
#ifndef TYF_MODEL_MODEL_H
#define TYF_MODEL_MODEL_H

#include <stdint.h>

#include "tyf/model/frontend.h"

/** Attribute of the application's arena: generated where it lies in another memory than variables, else what is given.
 */
#ifndef TYF_APP_ARENA_PLACE
#define TYF_APP_ARENA_PLACE(otherwise) otherwise
#endif

/**
 * Called after each layer with the bytes that it wrote.
 *
 * @param context  as given to run()
 * @param layer    index of the layer, 0 .. layer_count - 1
 * @param data     the layer's output tensor; valid only during the call
 * @param bytes    its size
 */
typedef void (*tyf_trace_fn)(void *context, uint32_t layer, const void *data, uint32_t bytes);

/** A model. Compiled to C, all members are constants of the generated code. */
typedef struct tyf_model tyf_model;
struct tyf_model {
    const char *name;             /**< file stem of the .tflite, for people */
    const uint8_t *model_id;      /**< [32] SHA-256 of the model's canonical manifest */
    const tyf_frontend *frontend; /**< from sensor samples to the input; NULL: fed with tensors */
    uint32_t arena_bytes;         /**< working memory that run() is given, 16-byte aligned */
    uint32_t input_offset;        /**< where run() reads its input within the arena */
    uint32_t input_bytes;
    uint32_t output_offset; /**< where run() leaves its output within the arena */
    uint32_t output_bytes;
    uint32_t layer_count; /**< how many times run() calls trace */
    uint8_t input_dtype;  /**< a tyf_dtype */
    uint8_t output_dtype; /**< a tyf_dtype */
    void (*run)(const tyf_model *model, uint8_t *arena, tyf_trace_fn trace, void *context); /**< tyf_model_run() */
    void (*reset)(const tyf_model *model, uint8_t *arena); /**< tyf_model_reset(); NULL: the model has no state */
};

/**
 * Forget what earlier inferences left in the arena; before the first inference, and whenever a new stream begins. Only
 * streaming models have such a state, and it is the only part of the arena that must not change between inferences.
 */
static inline void tyf_model_reset(const tyf_model *model, uint8_t *arena) {
    if (model->reset != 0) {
        model->reset(model, arena);
    }
}

/**
 * Run one inference. The input is overwritten.
 *
 * @param arena    arena_bytes, 16-byte aligned
 * @param trace    called after each layer, or NULL
 * @param context  handed to trace
 */
static inline void tyf_model_run(const tyf_model *model, uint8_t *arena, tyf_trace_fn trace, void *context) {
    model->run(model, arena, trace, context);
}

#endif
