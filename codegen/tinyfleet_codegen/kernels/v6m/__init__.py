"""Kernels for ARMv6-M cores without the DSP extension (Cortex-M0, M0+)."""

from tinyfleet_codegen.kernels.kernel import Kernel
from tinyfleet_codegen.kernels.v6m.conv2d import Conv2DKneeV6M, Conv2DV6M
from tinyfleet_codegen.kernels.v6m.depthwise_conv2d import Depthwise3x3Stride2V6M, Depthwise3x3V6M, DepthwiseConv2DV6M
from tinyfleet_codegen.kernels.v6m.fully_connected import Conv2DAsDenseV6M, FullyConnectedSharedV6M, FullyConnectedV6M
from tinyfleet_codegen.kernels.v6m.sums import SumV6M

KERNELS: tuple[Kernel, ...] = (
    Conv2DAsDenseV6M(),
    Conv2DV6M(),
    Conv2DKneeV6M(),
    Depthwise3x3V6M(),
    Depthwise3x3Stride2V6M(),
    DepthwiseConv2DV6M(),
    FullyConnectedSharedV6M(),
    FullyConnectedV6M(),
    SumV6M("ADD"),
    SumV6M("SUB"),
)
