"""Kernels for cores with Helium (Cortex-M55, M85)."""

from tinyfleet_codegen.kernels.kernel import Kernel

KERNELS: tuple[Kernel, ...] = ()
