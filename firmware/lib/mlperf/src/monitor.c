#include "tyf/mlperf/monitor.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "tyf/port/system.h"
#include "tyf/port/time.h"

/* Of the protocol: the runner sends at most 31 bytes a command as hexadecimal digits. */
#define COMMAND_CHARACTERS 80u
#define DEFAULT_WARMUPS 10u
#define BYTES_PER_LINE 8u

/* How the runner sends an input. */
typedef enum {
    ENCODING_INT8,   /* the tensor itself */
    ENCODING_PIXELS, /* 0 .. 255, 128 above the tensor's values */
    ENCODING_FLOAT32
} encoding;

typedef struct {
    const char *id;
    uint32_t input_bytes;
    uint32_t output_bytes;
    encoding encoding;
} benchmark;

/* The benchmark's models are told apart by their sizes. */
static const benchmark benchmarks[] = {
    {"kws01", 49 * 10, 12, ENCODING_INT8},      {"vww01", 96 * 96 * 3, 2, ENCODING_PIXELS},
    {"ic01", 32 * 32 * 3, 10, ENCODING_PIXELS}, {"ad01", 640, 640, ENCODING_FLOAT32},
    {"strww01", 30 * 1 * 40, 3, ENCODING_INT8},
};

static struct {
    const tyf_mlperf_config *config;
    const char *model_id;
    encoding encoding;
    uint32_t expected; /* bytes that make up one input as the runner sends it */
    uint32_t loaded;   /* of them that came */
    char command[COMMAND_CHARACTERS + 1u];
    uint32_t length; /* of the command so far, one more when it is too long */
} monitor;

/* Answers */

static void say(const char *text) {
    monitor.config->write((const uint8_t *)text, (uint32_t)strlen(text));
}

static void say_number(uint64_t value) {
    char digits[21];
    char *first = &digits[sizeof digits - 1u];
    *first = '\0';
    do {
        *--first = (char)('0' + value % 10u);
        value /= 10u;
    } while (value > 0u);
    say(first);
}

static void say_line(const char *before, uint64_t value, const char *after) {
    say(before);
    say_number(value);
    say(after);
}

/* Six decimals, |value| < 2^31. More than the three of the reference, so that a reader can tell every int8 apart. */
static void say_real(float value) {
    if (value < 0.0f) {
        say("-");
        value = -value;
    }
    uint32_t whole = (uint32_t)value;
    uint32_t millionths = (uint32_t)((value - (float)whole) * 1e6f + 0.5f);
    if (millionths == 1000000u) {
        whole++;
        millionths = 0;
    }
    char decimals[8] = {'.'};
    for (uint32_t place = 6; place > 0; place--) {
        decimals[place] = (char)('0' + millionths % 10u);
        millionths /= 10u;
    }
    say_number(whole);
    say(decimals);
}

static void say_time(void) {
    say_line("m-lap-us-", tyf_port_uptime_us(), "\r\n");
}

/* Tensors */

static uint8_t *tensor(void) {
    return monitor.encoding == ENCODING_FLOAT32 ? monitor.config->buffer + monitor.expected : monitor.config->buffer;
}

static float sent_value(uint32_t index) {
    float value;
    memcpy(&value, monitor.config->buffer + index * sizeof value, sizeof value);
    return value;
}

static float output_value(uint32_t index) {
    const tyf_mlperf_config *config = monitor.config;
    int32_t q = ((const int8_t *)(config->arena + config->model->output_offset))[index];
    return config->output_scale * (float)(q - config->output_zero_point);
}

/* Rounds to nearest, ties away from zero, and saturates; not-a-number becomes the zero point. */
static int8_t quantize(float value) {
    float scaled = value / monitor.config->input_scale;
    if (!(scaled > -512.0f && scaled < 512.0f)) {
        scaled = scaled > 0.0f ? 512.0f : scaled < 0.0f ? -512.0f : 0.0f;
    }
    int32_t q = (int32_t)(scaled < 0.0f ? scaled - 0.5f : scaled + 0.5f) + monitor.config->input_zero_point;
    return (int8_t)(q < INT8_MIN ? INT8_MIN : q > INT8_MAX ? INT8_MAX : q);
}

static void load_tensor(void) {
    if (monitor.encoding == ENCODING_FLOAT32) {
        int8_t *values = (int8_t *)tensor();
        for (uint32_t i = 0; i < monitor.config->model->input_bytes; i++) {
            values[i] = quantize(sent_value(i));
        }
    }
}

static void infer_once(void) {
    const tyf_mlperf_config *config = monitor.config;
    memcpy(config->arena + config->model->input_offset, tensor(), config->model->input_bytes);
    tyf_model_run(config->model, config->arena, NULL, NULL);
    tyf_port_watchdog_feed();
}

static float mean_squared_error(void) {
    float sum = 0.0f;
    for (uint32_t i = 0; i < monitor.config->model->output_bytes; i++) {
        float difference = output_value(i) - sent_value(i);
        sum += difference * difference;
    }
    return sum / (float)monitor.config->model->output_bytes;
}

/* Commands */

static void results(void) {
    say("m-results-[");
    if (monitor.encoding == ENCODING_FLOAT32) {
        say_real(mean_squared_error());
    } else {
        for (uint32_t i = 0; i < monitor.config->model->output_bytes; i++) {
            say(i == 0u ? "" : ",");
            say_real(output_value(i));
        }
    }
    say("]\r\n");
}

static bool parse_number(const char *text, uint32_t limit, uint32_t *value) {
    uint32_t number = 0;
    for (const char *digit = text; *digit != '\0'; digit++) {
        if (*digit < '0' || *digit > '9' || number > limit / 10u) {
            return false;
        }
        number = number * 10u + (uint32_t)(*digit - '0');
    }
    *value = number;
    return *text != '\0' && number <= limit;
}

static void infer(const char *count_text, const char *warmups_text) {
    uint32_t count = 1;
    uint32_t warmups = DEFAULT_WARMUPS;
    if (count_text != NULL && (!parse_number(count_text, TYF_MLPERF_MAX_INFERENCES, &count) || count == 0u)) {
        say_line("e-[Inference iterations must be 1 .. ", TYF_MLPERF_MAX_INFERENCES, "]\r\n");
        return;
    }
    if (warmups_text != NULL && !parse_number(warmups_text, TYF_MLPERF_MAX_INFERENCES, &warmups)) {
        say_line("e-[Inference warmup must be 0 .. ", TYF_MLPERF_MAX_INFERENCES, "]\r\n");
        return;
    }
    if (monitor.loaded < monitor.expected) {
        say_line("e-[The input lacks bytes: ", monitor.expected - monitor.loaded, "]\r\n");
        return;
    }
    load_tensor();
    say_line("m-warmup-start-", warmups, "\r\n");
    for (uint32_t i = 0; i < warmups; i++) {
        infer_once();
    }
    say("m-warmup-done\r\n");
    say_line("m-infer-start-", count, "\r\n");
    say_time();
    for (uint32_t i = 0; i < count; i++) {
        infer_once();
    }
    say_time();
    say("m-infer-done\r\n");
    results();
}

static int32_t hex_digit(char digit) {
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    char lower = (char)(digit | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

static void load_begin(const char *bytes_text) {
    uint32_t bytes;
    if (bytes_text == NULL || !parse_number(bytes_text, UINT32_MAX, &bytes) || bytes != monitor.expected) {
        say_line("e-[Command 'db load' must be for ", monitor.expected, " bytes]\r\n");
        return;
    }
    monitor.loaded = 0;
    say_line("m-[Expecting ", bytes, " bytes]\r\n");
}

static void load_digits(const char *digits) {
    if (monitor.loaded >= monitor.expected) {
        say("e-[Command 'db load' must come first]\r\n");
        return;
    }
    for (; *digits != '\0' && monitor.loaded < monitor.expected; digits += 2) {
        int32_t high = hex_digit(digits[0]);
        int32_t low = digits[1] == '\0' ? -1 : hex_digit(digits[1]);
        if (high < 0 || low < 0) {
            say("e-[Insufficient number of hex digits, or none]\r\n");
            return;
        }
        uint32_t byte = (uint32_t)high << 4 | (uint32_t)low;
        monitor.config->buffer[monitor.loaded++] = (uint8_t)(monitor.encoding == ENCODING_PIXELS ? byte ^ 0x80u : byte);
    }
    if (monitor.loaded == monitor.expected) {
        say("m-load-done\r\n");
    }
}

static void print_buffer(void) {
    static const char digits[] = "0123456789abcdef";
    for (uint32_t i = 0; i < monitor.expected; i++) {
        uint8_t byte = monitor.config->buffer[i];
        byte = (uint8_t)(monitor.encoding == ENCODING_PIXELS ? byte ^ 0x80u : byte);
        char text[3] = {digits[byte >> 4], digits[byte & 15u]};
        say(i % BYTES_PER_LINE == 0u ? "m-buffer-" : "-");
        say(text);
        if ((i + 1u) % BYTES_PER_LINE == 0u || i + 1u == monitor.expected) {
            say("\r\n");
        }
    }
}

static void db(const char *word, const char *argument) {
    if (word == NULL) {
        say("e-[Command 'db' requires a subcommand]\r\n");
    } else if (strcmp(word, "load") == 0) {
        load_begin(argument);
    } else if (strcmp(word, "print") == 0) {
        print_buffer();
    } else {
        load_digits(word);
    }
}

/* The next word of a command, which is cut there; NULL at its end. */
static char *next_word(char **rest) {
    char *word = *rest + strspn(*rest, " ");
    char *end = word + strcspn(word, " ");
    *rest = *end == '\0' ? end : end + 1;
    *end = '\0';
    return *word == '\0' ? NULL : word;
}

static void carry_out(char *command) {
    char *name = next_word(&command);
    char *first = next_word(&command);
    char *second = next_word(&command);
    if (name == NULL) {
        return; /* the runner sends a lone '%' to end what may stand in the buffer */
    }
    if (strcmp(name, "name") == 0) {
        say("m-name-dut-[tinyfleet]\r\n");
    } else if (strcmp(name, "profile") == 0) {
        say("m-profile-[ULPMark for tinyML Firmware V0.0.1]\r\nm-model-[");
        say(monitor.model_id);
        say("]\r\n");
    } else if (strcmp(name, "timestamp") == 0) {
        say_time();
    } else if (strcmp(name, "db") == 0) {
        db(first, second);
    } else if (strcmp(name, "infer") == 0) {
        infer(first, second);
    } else if (strcmp(name, "results") == 0) {
        results();
    } else if (strcmp(name, "help") == 0) {
        say("name, profile, timestamp, help\r\ndb load N, db HEX, db print\r\ninfer N [W=10], results\r\n");
    } else {
        say("e-[Unknown command: ");
        say(name);
        say("]\r\n");
    }
}

void tyf_mlperf_start(const tyf_mlperf_config *config) {
    memset(&monitor, 0, sizeof monitor);
    monitor.config = config;
    monitor.model_id = config->model->name;
    monitor.encoding = ENCODING_INT8;
    for (uint32_t i = 0; i < sizeof benchmarks / sizeof benchmarks[0]; i++) {
        if (benchmarks[i].input_bytes == config->model->input_bytes &&
            benchmarks[i].output_bytes == config->model->output_bytes) {
            monitor.model_id = benchmarks[i].id;
            monitor.encoding = benchmarks[i].encoding;
        }
    }
    monitor.expected =
        config->model->input_bytes * (monitor.encoding == ENCODING_FLOAT32 ? (uint32_t)sizeof(float) : 1u);
    tyf_model_reset(config->model, config->arena);
    say("m-timestamp-mode-performance\r\nm-init-done\r\nm-ready\r\n");
}

void tyf_mlperf_take(const uint8_t *bytes, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        char character = (char)bytes[i];
        if (character == '%') {
            if (monitor.length > COMMAND_CHARACTERS) {
                say_line("e-[A command has at most ", COMMAND_CHARACTERS, " characters]\r\n");
            } else {
                monitor.command[monitor.length] = '\0';
                carry_out(monitor.command);
            }
            monitor.length = 0;
            say("m-ready\r\n");
        } else if (character != '\r' && character != '\n' && monitor.length <= COMMAND_CHARACTERS) {
            if (monitor.length < COMMAND_CHARACTERS) {
                monitor.command[monitor.length] = character;
            }
            monitor.length++;
        }
    }
}
