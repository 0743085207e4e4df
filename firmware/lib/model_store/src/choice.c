/* Which model is live and which was before, as it outlives a reset: one setting, so that no power cut leaves half of
 * it. */
#include <string.h>

#include "store.h"
#include "tyf/settings/settings.h"

#define KEY ".models" /* the dot: no host changes it by the settings group */
#define VERSION 1u
#define DIGESTS_OFFSET 8u
#define CHOICE_BYTES (DIGESTS_OFFSET + 2u * TYF_SHA256_BYTES)

#define BUILT_IN_GENERATION 1u

tyf_status tyf_model_choice_write(const model_choice *choice) {
    uint8_t value[CHOICE_BYTES] = {
        VERSION, choice->place[0], choice->place[1], choice->generation[0], choice->generation[1], choice->newest};
    memcpy(value + DIGESTS_OFFSET, choice->digest, sizeof choice->digest);
    return tyf_settings_set(KEY, value, sizeof value);
}

model_choice tyf_model_choice_read(void) {
    model_choice choice = {.place = {TYF_MODEL_BUILT_IN, TYF_MODEL_BUILT_IN},
                           .generation = {BUILT_IN_GENERATION, BUILT_IN_GENERATION},
                           .newest = BUILT_IN_GENERATION};
    uint8_t value[CHOICE_BYTES];
    uint32_t bytes = 0;
    if (tyf_settings_get(KEY, value, sizeof value, &bytes) == TYF_OK && bytes == sizeof value && value[0] == VERSION &&
        value[1] <= TYF_MODEL_SLOT_1 && value[2] <= TYF_MODEL_SLOT_1) {
        memcpy(choice.place, value + 1, 2);
        memcpy(choice.generation, value + 3, 2);
        choice.newest = value[5];
        memcpy(choice.digest, value + DIGESTS_OFFSET, sizeof choice.digest);
    }
    return choice;
}
