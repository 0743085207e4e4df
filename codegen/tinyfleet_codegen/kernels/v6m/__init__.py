"""Kernels for ARMv6-M cores without the DSP extension (Cortex-M0, M0+)."""

from tinyfleet_codegen.kernels.kernel import Kernel
from tinyfleet_codegen.kernels.v6m.conv2d import Conv2DKneeV6M, Conv2DV6M

KERNELS: tuple[Kernel, ...] = (Conv2DV6M(), Conv2DKneeV6M())
