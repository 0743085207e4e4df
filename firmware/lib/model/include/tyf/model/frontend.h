/**
 * Front end: int16 sensor samples in fixed units -> the int8 input tensor of a model, in integers only.
 *
 *     tyf_frontend_apply(model.frontend, window, (int8_t *)(arena + model.input_offset));
 */
#ifndef TYF_MODEL_FRONTEND_H
#define TYF_MODEL_FRONTEND_H

#include <stdint.h>

/** One window of samples to one input tensor; constants are generated from the model package. */
typedef struct {
    const int16_t *offset;     /**< [channels] subtracted from each raw sample */
    const int32_t *multiplier; /**< [channels] Q31 multiplier of the difference */
    const int8_t *shift;       /**< [channels] power of two, > 0 is to the left */
    uint16_t channels;         /**< values per sample, 1 .. 32 */
    uint16_t window_samples;   /**< samples per window */
    uint16_t hop_samples;      /**< samples between the starts of neighbouring windows, 1 .. window_samples */
    int8_t zero_point;         /**< of the model's input */
} tyf_frontend;

/**
 * Fill the input tensor [window_samples, channels] from raw samples.
 *
 * @param samples  window_samples * channels raw values, oldest first, channels interleaved
 * @param input    window_samples * channels int8; must not overlap samples
 */
void tyf_frontend_apply(const tyf_frontend *frontend, const int16_t *samples, int8_t *input);

#endif
