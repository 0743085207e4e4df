/* Window of 8 samples, 3 channels; layer 0 adds one to each element, layer 1 keeps the first 5. Input and output
 * overlap. */
#include "model.h"

#include <stddef.h>

#include "tyf/core/wire.h"

#define CHANNELS 3
#define WINDOW 8
#define HOP 4
#define INPUT_BYTES 24u
#define OUTPUT_BYTES 5u

static void run(const tyf_model *model, uint8_t *arena, tyf_trace_fn trace, void *context) {
    (void)model;
    for (uint32_t i = 0; i < INPUT_BYTES; i++) {
        arena[i] = (uint8_t)(arena[i] + 1u);
    }
    if (trace != NULL) {
        trace(context, 0, arena, INPUT_BYTES);
        trace(context, 1, arena, OUTPUT_BYTES);
    }
}

static const int16_t offset[CHANNELS] = {0, 0, 0};
static const int32_t multiplier[CHANNELS] = {1 << 30, 1 << 30, 1 << 30};
static const int8_t shift[CHANNELS] = {1, 1, 1};
static const tyf_frontend frontend = {offset, multiplier, shift, CHANNELS, WINDOW, HOP, 0};
static const uint8_t model_id[32] = {0xab};

const tyf_model test_model = {
    .name = "test",
    .model_id = model_id,
    .frontend = &frontend,
    .arena_bytes = TYF_APP_ARENA_BYTES,
    .input_offset = 0,
    .input_bytes = INPUT_BYTES,
    .output_offset = 0,
    .output_bytes = OUTPUT_BYTES,
    .layer_count = 2,
    .input_dtype = TYF_DTYPE_INT8,
    .output_dtype = TYF_DTYPE_INT8,
    .run = run,
};
