"""The node kinds that tinyfleet compiles, one file each. A new op is a new file and one line here."""

from __future__ import annotations

from tinyfleet_codegen.op import Op
from tinyfleet_codegen.ops.abs import Abs
from tinyfleet_codegen.ops.add import Add
from tinyfleet_codegen.ops.arg_max import ArgMax
from tinyfleet_codegen.ops.assign_variable import AssignVariable
from tinyfleet_codegen.ops.average_pool2d import AveragePool2D
from tinyfleet_codegen.ops.batch_matmul import BatchMatmul
from tinyfleet_codegen.ops.batch_to_space_nd import BatchToSpaceNd
from tinyfleet_codegen.ops.call_once import CallOnce
from tinyfleet_codegen.ops.concatenation import Concatenation
from tinyfleet_codegen.ops.conv2d import Conv2D
from tinyfleet_codegen.ops.depthwise_conv2d import DepthwiseConv2D
from tinyfleet_codegen.ops.dequantize import Dequantize
from tinyfleet_codegen.ops.elu import Elu
from tinyfleet_codegen.ops.equal import Equal
from tinyfleet_codegen.ops.exp import Exp
from tinyfleet_codegen.ops.expand_dims import ExpandDims
from tinyfleet_codegen.ops.fully_connected import FullyConnected
from tinyfleet_codegen.ops.gather import Gather
from tinyfleet_codegen.ops.greater import Greater
from tinyfleet_codegen.ops.greater_equal import GreaterEqual
from tinyfleet_codegen.ops.hard_swish import HardSwish
from tinyfleet_codegen.ops.leaky_relu import LeakyRelu
from tinyfleet_codegen.ops.less import Less
from tinyfleet_codegen.ops.less_equal import LessEqual
from tinyfleet_codegen.ops.log import Log
from tinyfleet_codegen.ops.logistic import Logistic
from tinyfleet_codegen.ops.max_pool2d import MaxPool2D
from tinyfleet_codegen.ops.maximum import Maximum
from tinyfleet_codegen.ops.mean import Mean
from tinyfleet_codegen.ops.minimum import Minimum
from tinyfleet_codegen.ops.mul import Mul
from tinyfleet_codegen.ops.neg import Neg
from tinyfleet_codegen.ops.not_equal import NotEqual
from tinyfleet_codegen.ops.pack import Pack
from tinyfleet_codegen.ops.pad import Pad
from tinyfleet_codegen.ops.padv2 import PadV2
from tinyfleet_codegen.ops.prelu import Prelu
from tinyfleet_codegen.ops.quantize import Quantize
from tinyfleet_codegen.ops.read_variable import ReadVariable
from tinyfleet_codegen.ops.reduce_max import ReduceMax
from tinyfleet_codegen.ops.relu import Relu
from tinyfleet_codegen.ops.relu6 import Relu6
from tinyfleet_codegen.ops.reshape import Reshape
from tinyfleet_codegen.ops.resize_bilinear import ResizeBilinear
from tinyfleet_codegen.ops.resize_nearest_neighbor import ResizeNearestNeighbor
from tinyfleet_codegen.ops.rsqrt import Rsqrt
from tinyfleet_codegen.ops.select_v2 import SelectV2
from tinyfleet_codegen.ops.shape import Shape
from tinyfleet_codegen.ops.slice import Slice
from tinyfleet_codegen.ops.softmax import Softmax
from tinyfleet_codegen.ops.space_to_batch_nd import SpaceToBatchNd
from tinyfleet_codegen.ops.split import Split
from tinyfleet_codegen.ops.split_v import SplitV
from tinyfleet_codegen.ops.sqrt import Sqrt
from tinyfleet_codegen.ops.square import Square
from tinyfleet_codegen.ops.squared_difference import SquaredDifference
from tinyfleet_codegen.ops.squeeze import Squeeze
from tinyfleet_codegen.ops.strided_slice import StridedSlice
from tinyfleet_codegen.ops.sub import Sub
from tinyfleet_codegen.ops.sum import Sum
from tinyfleet_codegen.ops.svdf import Svdf
from tinyfleet_codegen.ops.tanh import Tanh
from tinyfleet_codegen.ops.transpose import Transpose
from tinyfleet_codegen.ops.transpose_conv import TransposeConv
from tinyfleet_codegen.ops.unidirectional_sequence_lstm import UnidirectionalSequenceLstm
from tinyfleet_codegen.ops.unpack import Unpack
from tinyfleet_codegen.ops.var_handle import VarHandle

OPS: dict[str, Op] = {
    op.name: op
    for op in (
        Abs(),
        Add(),
        ArgMax(),
        AssignVariable(),
        AveragePool2D(),
        BatchMatmul(),
        BatchToSpaceNd(),
        CallOnce(),
        Concatenation(),
        Conv2D(),
        DepthwiseConv2D(),
        Dequantize(),
        Elu(),
        Equal(),
        Exp(),
        ExpandDims(),
        FullyConnected(),
        Gather(),
        Greater(),
        GreaterEqual(),
        HardSwish(),
        LeakyRelu(),
        Less(),
        LessEqual(),
        Log(),
        Logistic(),
        MaxPool2D(),
        Maximum(),
        Mean(),
        Minimum(),
        Mul(),
        Neg(),
        NotEqual(),
        Pack(),
        Pad(),
        PadV2(),
        Prelu(),
        Quantize(),
        ReadVariable(),
        ReduceMax(),
        Relu(),
        Relu6(),
        Reshape(),
        ResizeBilinear(),
        ResizeNearestNeighbor(),
        Rsqrt(),
        SelectV2(),
        Shape(),
        Slice(),
        Softmax(),
        SpaceToBatchNd(),
        Split(),
        SplitV(),
        Sqrt(),
        Square(),
        SquaredDifference(),
        Squeeze(),
        StridedSlice(),
        Sub(),
        Sum(),
        Svdf(),
        Tanh(),
        Transpose(),
        TransposeConv(),
        UnidirectionalSequenceLstm(),
        Unpack(),
        VarHandle(),
    )
}
"""By the operator's name in the .tflite schema."""
