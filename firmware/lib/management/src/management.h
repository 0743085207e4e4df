/* What the parts of lib/management share. */
#ifndef TYF_MANAGEMENT_PRIVATE_H
#define TYF_MANAGEMENT_PRIVATE_H

#include "tyf/management/management.h"

/* The next chunk of an upload begins a new one. */
void tyf_management_forget_upload(void);

/* Answer with an empty map. */
int tyf_management_nothing(tyf_smp_exchange *exchange);

#endif
