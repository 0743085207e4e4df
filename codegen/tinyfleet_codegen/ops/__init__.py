"""The node kinds that tinyfleet compiles, one file each. A new op is a new file and one line here."""

from __future__ import annotations

from tinyfleet_codegen.op import Op
from tinyfleet_codegen.ops.add import Add
from tinyfleet_codegen.ops.average_pool2d import AveragePool2D
from tinyfleet_codegen.ops.conv2d import Conv2D
from tinyfleet_codegen.ops.depthwise_conv2d import DepthwiseConv2D
from tinyfleet_codegen.ops.dequantize import Dequantize
from tinyfleet_codegen.ops.fully_connected import FullyConnected
from tinyfleet_codegen.ops.max_pool2d import MaxPool2D
from tinyfleet_codegen.ops.mean import Mean
from tinyfleet_codegen.ops.pad import Pad
from tinyfleet_codegen.ops.quantize import Quantize
from tinyfleet_codegen.ops.reshape import Reshape
from tinyfleet_codegen.ops.softmax import Softmax

OPS: dict[str, Op] = {
    op.name: op
    for op in (
        Add(),
        AveragePool2D(),
        Conv2D(),
        DepthwiseConv2D(),
        Dequantize(),
        FullyConnected(),
        MaxPool2D(),
        Mean(),
        Pad(),
        Quantize(),
        Reshape(),
        Softmax(),
    )
}
"""By the operator's name in the .tflite schema."""
