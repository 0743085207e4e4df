/**
 * Kernels for cores with Helium (Cortex-M55, M85): the same bytes as those of kernels.h from weights and tables that
 * the compiler packed. It sees to their bounds (codegen/tinyfleet_codegen/kernels/mve).
 */
#ifndef TYF_NN_KERNELS_MVE_H
#define TYF_NN_KERNELS_MVE_H

#include "tyf/nn/kernels.h"
#include "tyf/nn/kernels_dsp.h" /* a core with Helium has the DSP extension too */

#endif
