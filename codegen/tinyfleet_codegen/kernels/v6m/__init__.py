"""Kernels for ARMv6-M cores without the DSP extension (Cortex-M0, M0+)."""

from tinyfleet_codegen.kernels.kernel import Kernel

KERNELS: tuple[Kernel, ...] = ()
