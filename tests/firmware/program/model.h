/* A model made by hand: firmware tests need no compiler. See model.c. */
#ifndef MODEL_H
#define MODEL_H

#include "tyf/model/model.h"

#define TYF_APP_MODEL test_model
#define TYF_APP_NAME "test"
#define TYF_APP_ARENA_BYTES 64

extern const tyf_model test_model;

#endif
