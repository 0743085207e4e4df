#include "tyf/boot/keys.h"

#if __has_include("tyf_keys.h")
#include "tyf_keys.h"
#else
#define TYF_FIRMWARE_KEY {0}
#define TYF_MODEL_KEY {0}
#endif

const uint8_t tyf_firmware_key[TYF_ED25519_KEY_BYTES] = TYF_FIRMWARE_KEY;
const uint8_t tyf_model_key[TYF_ED25519_KEY_BYTES] = TYF_MODEL_KEY;
