/* What the parts of lib/management share. */
#ifndef TYF_MANAGEMENT_PRIVATE_H
#define TYF_MANAGEMENT_PRIVATE_H

#include "tyf/management/management.h"

/* The date is set anew after a reset. */
void tyf_management_forget_time(void);

int tyf_management_bootloader_info(tyf_smp_exchange *exchange);

#endif
