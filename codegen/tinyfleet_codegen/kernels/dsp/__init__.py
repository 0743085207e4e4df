"""Kernels for cores with the DSP extension (Cortex-M4, M7, M33)."""

from tinyfleet_codegen.kernels.dsp.add import AddDsp
from tinyfleet_codegen.kernels.dsp.average_pool2d import AveragePool2DDsp
from tinyfleet_codegen.kernels.dsp.conv2d import Conv2DClampedDsp, Conv2DDsp, Conv2DWideDsp
from tinyfleet_codegen.kernels.dsp.conv2d_add import Conv2DAddDsp
from tinyfleet_codegen.kernels.dsp.depthwise1d import Depthwise1DDsp
from tinyfleet_codegen.kernels.dsp.depthwise3x3 import Depthwise3x3ClampedDsp, Depthwise3x3Dsp
from tinyfleet_codegen.kernels.dsp.depthwise_conv2d import DepthwiseConv2DDsp
from tinyfleet_codegen.kernels.dsp.fully_connected import FullyConnectedDsp, FullyConnectedWideDsp
from tinyfleet_codegen.kernels.dsp.fully_connected_s16 import Conv2D1x1S16Dsp, FullyConnectedS16Dsp
from tinyfleet_codegen.kernels.kernel import Kernel

KERNELS: tuple[Kernel, ...] = (
    AddDsp(),
    AveragePool2DDsp(),
    Conv2DClampedDsp(),
    Conv2DAddDsp(),
    Conv2DDsp(),
    Conv2DWideDsp(),
    Depthwise1DDsp(),
    Depthwise3x3ClampedDsp(),
    Depthwise3x3Dsp(),
    DepthwiseConv2DDsp(),
    FullyConnectedDsp(),
    FullyConnectedWideDsp(),
    Conv2D1x1S16Dsp(),
    FullyConnectedS16Dsp(),
)
