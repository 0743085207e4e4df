/* Private to lib/model: the check of one call against its kernel's contract. */
#ifndef TYF_MODEL_CONTRACT_H
#define TYF_MODEL_CONTRACT_H

#include <stdbool.h>
#include <stdint.h>

#include "tyf/model/kernel_table.h"

/* What lies behind one argument. */
typedef struct {
    const uint8_t *data; /* in the blob; NULL when it is in the arena or absent */
    uint32_t there;      /* bytes up to the end of the blob or the arena; 0 when it is absent */
    uint32_t touched;    /* bytes that the kernel touches, filled in */
} tyf_span;

/* Whether the kernel stays inside its arguments. The first span holds the parameters if it takes any. */
bool tyf_contract_holds(const tyf_kernel *kernel, tyf_span spans[TYF_KERNEL_ARGUMENTS]);

#endif
