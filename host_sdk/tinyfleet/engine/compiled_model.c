/* The entry of a library that was built for one model. */
#include <stdint.h>

#include "model.h"

#include "engine.h"

#include "compiled_model.h"

const tyf_model *tyf_engine_model(void) {
    return &TYF_APP_MODEL;
}
