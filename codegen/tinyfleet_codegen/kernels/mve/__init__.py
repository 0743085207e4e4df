"""Kernels for cores with Helium (Cortex-M55, M85). Where none fits, those of the DSP extension run, which these cores have too."""

from tinyfleet_codegen.kernels import dsp
from tinyfleet_codegen.kernels.kernel import Kernel

KERNELS: tuple[Kernel, ...] = dsp.KERNELS
