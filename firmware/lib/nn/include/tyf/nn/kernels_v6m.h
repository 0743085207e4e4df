/**
 * Kernels for ARMv6-M cores (Cortex-M0, M0+): the same bytes as those of kernels.h from weights and tables that the
 * compiler packed. It sees to their bounds (codegen/tinyfleet_codegen/kernels/v6m).
 */
#ifndef TYF_NN_KERNELS_V6M_H
#define TYF_NN_KERNELS_V6M_H

#include "tyf/nn/kernels.h"

#endif
