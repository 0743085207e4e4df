/* What the parts of lib/management share. */
#ifndef TYF_MANAGEMENT_PRIVATE_H
#define TYF_MANAGEMENT_PRIVATE_H

#include "tyf/management/management.h"

/* Answer with an empty map. */
int tyf_management_nothing(tyf_smp_exchange *exchange);

#endif
