/**
 * The device's side of the MLPerf Tiny serial protocol: commands of text that end with '%', answers of lines that end
 * with "m-ready". Outside benchmark runners drive a board with it, for accuracy (one inference per loaded input) and
 * for performance (N inferences between two time stamps). docs/guides/benchmark.md has the commands.
 *
 *     static uint8_t buffer[TYF_MLPERF_BUFFER_BYTES(TYF_APP_INPUT_BYTES, TYF_APP_OUTPUT_BYTES)];
 *
 *     tyf_mlperf_start(&config);
 *     for (;;) {
 *         tyf_mlperf_take(bytes, tyf_port_uart_read(bytes, sizeof bytes));
 *     }
 */
#ifndef TYF_MLPERF_MONITOR_H
#define TYF_MLPERF_MONITOR_H

#include <stdint.h>

#include "tyf/model/model.h"

/**
 * What the runner's data and the tensor made of it take. An autoencoder (output as large as input) is fed with float32,
 * which is kept to compare the output with; other inputs come one byte an element.
 */
#define TYF_MLPERF_BUFFER_BYTES(input_bytes, output_bytes)                                                             \
    ((input_bytes) == (output_bytes) ? 5u * (input_bytes) : (input_bytes))

/** Most inferences of one command. */
#define TYF_MLPERF_MAX_INFERENCES 1000000u

/** Send bytes of an answer. */
typedef void (*tyf_mlperf_write_fn)(const uint8_t *data, uint32_t bytes);

/** All of it must outlive the monitor. */
typedef struct {
    const tyf_model *model; /**< int8 in and out */
    uint8_t *arena;         /**< model->arena_bytes, 16-byte aligned */
    uint8_t *buffer;        /**< TYF_MLPERF_BUFFER_BYTES of the model's sizes, 4-byte aligned */
    tyf_mlperf_write_fn write;
    float input_scale; /**< real = scale * (q - zero_point) */
    float output_scale;
    int32_t input_zero_point;
    int32_t output_zero_point;
} tyf_mlperf_config;

/** Forget everything and say that the device is ready. */
void tyf_mlperf_start(const tyf_mlperf_config *config);

/** Take received bytes; a complete command is carried out before it returns. */
void tyf_mlperf_take(const uint8_t *bytes, uint32_t count);

#endif
