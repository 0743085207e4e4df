"""Kernels for cores with Helium (Cortex-M55, M85). Where none fits, those of the DSP extension run, which these cores have too."""

from tinyfleet_codegen.kernels import dsp
from tinyfleet_codegen.kernels.kernel import Kernel
from tinyfleet_codegen.kernels.mve.add import AddMve
from tinyfleet_codegen.kernels.mve.conv2d import Conv2DMve
from tinyfleet_codegen.kernels.mve.conv2d_rows import Conv2DRowsMve
from tinyfleet_codegen.kernels.mve.depthwise3x3 import Depthwise3x3Mve
from tinyfleet_codegen.kernels.mve.depthwise_line import DepthwiseLineMve
from tinyfleet_codegen.kernels.mve.fully_connected import FullyConnectedMve
from tinyfleet_codegen.kernels.mve.pool2d import AveragePool2DMve, MaxPool2DMve

KERNELS: tuple[Kernel, ...] = (
    *(Conv2DRowsMve(stride=stride, relu=relu) for stride in (1, 2) for relu in (False, True)),
    *(Conv2DMve(relu=relu, deep=deep) for relu in (False, True) for deep in (False, True)),
    *(Depthwise3x3Mve(stride=stride, relu=relu) for stride in (1, 2) for relu in (False, True)),
    DepthwiseLineMve(relu=False),
    DepthwiseLineMve(relu=True),
    FullyConnectedMve(relu=False),
    FullyConnectedMve(relu=True),
    AddMve(relu=False),
    AddMve(relu=True),
    AveragePool2DMve(),
    MaxPool2DMve(),
    *dsp.KERNELS,
)
