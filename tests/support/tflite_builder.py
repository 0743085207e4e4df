"""Write small .tflite files for tests, with the schema classes that ship with TensorFlow (which itself is not imported: 7 s)."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import flatbuffers
import numpy as np
import numpy.typing as npt

from tinyfleet_codegen.ir import NUMPY_DTYPES
from tinyfleet_codegen.wire.ids import DType


def _load_schema() -> ModuleType:
    package = importlib.util.find_spec("tensorflow")
    assert package is not None and package.origin is not None
    path = Path(package.origin).parent / "lite/python/schema_py_generated.py"
    spec = importlib.util.spec_from_file_location("tflite_schema", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


schema: Any = _load_schema()

OPTIONS = {
    "ABS": ("AbsOptions", schema.AbsOptionsT),
    "ADD": ("AddOptions", schema.AddOptionsT),
    "ARG_MAX": ("ArgMaxOptions", schema.ArgMaxOptionsT),
    "ASSIGN_VARIABLE": ("AssignVariableOptions", schema.AssignVariableOptionsT),
    "AVERAGE_POOL_2D": ("Pool2DOptions", schema.Pool2DOptionsT),
    "BATCH_MATMUL": ("BatchMatMulOptions", schema.BatchMatMulOptionsT),
    "BATCH_TO_SPACE_ND": ("BatchToSpaceNDOptions", schema.BatchToSpaceNDOptionsT),
    "CALL_ONCE": ("CallOnceOptions", schema.CallOnceOptionsT),
    "CONCATENATION": ("ConcatenationOptions", schema.ConcatenationOptionsT),
    "CONV_2D": ("Conv2DOptions", schema.Conv2DOptionsT),
    "DEPTHWISE_CONV_2D": ("DepthwiseConv2DOptions", schema.DepthwiseConv2DOptionsT),
    "EQUAL": ("EqualOptions", schema.EqualOptionsT),
    "EXP": ("ExpOptions", schema.ExpOptionsT),
    "FULLY_CONNECTED": ("FullyConnectedOptions", schema.FullyConnectedOptionsT),
    "GATHER": ("GatherOptions", schema.GatherOptionsT),
    "GREATER": ("GreaterOptions", schema.GreaterOptionsT),
    "GREATER_EQUAL": ("GreaterEqualOptions", schema.GreaterEqualOptionsT),
    "HARD_SWISH": ("HardSwishOptions", schema.HardSwishOptionsT),
    "LEAKY_RELU": ("LeakyReluOptions", schema.LeakyReluOptionsT),
    "LESS": ("LessOptions", schema.LessOptionsT),
    "LESS_EQUAL": ("LessEqualOptions", schema.LessEqualOptionsT),
    "MAX_POOL_2D": ("Pool2DOptions", schema.Pool2DOptionsT),
    "MEAN": ("ReducerOptions", schema.ReducerOptionsT),
    "MUL": ("MulOptions", schema.MulOptionsT),
    "NEG": ("NegOptions", schema.NegOptionsT),
    "NOT_EQUAL": ("NotEqualOptions", schema.NotEqualOptionsT),
    "PACK": ("PackOptions", schema.PackOptionsT),
    "PAD": ("PadOptions", schema.PadOptionsT),
    "PADV2": ("PadV2Options", schema.PadV2OptionsT),
    "READ_VARIABLE": ("ReadVariableOptions", schema.ReadVariableOptionsT),
    "REDUCE_MAX": ("ReducerOptions", schema.ReducerOptionsT),
    "RESHAPE": ("ReshapeOptions", schema.ReshapeOptionsT),
    "RESIZE_BILINEAR": ("ResizeBilinearOptions", schema.ResizeBilinearOptionsT),
    "RESIZE_NEAREST_NEIGHBOR": ("ResizeNearestNeighborOptions", schema.ResizeNearestNeighborOptionsT),
    "SELECT_V2": ("SelectV2Options", schema.SelectV2OptionsT),
    "SHAPE": ("ShapeOptions", schema.ShapeOptionsT),
    "SOFTMAX": ("SoftmaxOptions", schema.SoftmaxOptionsT),
    "SPACE_TO_BATCH_ND": ("SpaceToBatchNDOptions", schema.SpaceToBatchNDOptionsT),
    "SPLIT": ("SplitOptions", schema.SplitOptionsT),
    "SPLIT_V": ("SplitVOptions", schema.SplitVOptionsT),
    "SQUARE": ("SquareOptions", schema.SquareOptionsT),
    "SQUEEZE": ("SqueezeOptions", schema.SqueezeOptionsT),
    "STRIDED_SLICE": ("StridedSliceOptions", schema.StridedSliceOptionsT),
    "SUB": ("SubOptions", schema.SubOptionsT),
    "SUM": ("ReducerOptions", schema.ReducerOptionsT),
    "SVDF": ("SVDFOptions", schema.SVDFOptionsT),
    "TRANSPOSE_CONV": ("TransposeConvOptions", schema.TransposeConvOptionsT),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": ("UnidirectionalSequenceLSTMOptions", schema.UnidirectionalSequenceLSTMOptionsT),
    "UNPACK": ("UnpackOptions", schema.UnpackOptionsT),
    "VAR_HANDLE": ("VarHandleOptions", schema.VarHandleOptionsT),
}
"""Operator name -> (name in the BuiltinOptions union, its class)."""


@dataclass
class TfliteBuilder:
    """Collects tensors and operators; ``build`` gives the file's bytes."""

    tensors: list[Any] = field(default_factory=list)
    buffers: list[Any] = field(default_factory=lambda: [schema.BufferT()])
    operators: list[Any] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)
    others: list[TfliteBuilder] = field(default_factory=list)

    def subgraph(self) -> TfliteBuilder:
        """A further subgraph of the same file; the first one is number 1."""
        other = TfliteBuilder(buffers=self.buffers, codes=self.codes)
        self.others.append(other)
        return other

    def handle(self, variable: str) -> int:
        """A handle of a variable; returns its tensor."""
        t = schema.TensorT()
        t.shape, t.type, t.name, t.buffer = [], schema.TensorType.RESOURCE, f"{variable}_{len(self.tensors)}", 0
        self.tensors.append(t)
        self.op("VAR_HANDLE", [], [len(self.tensors) - 1], container="", sharedName=variable)
        return len(self.tensors) - 1

    def tensor(
        self,
        shape: tuple[int, ...],
        dtype: DType = DType.INT8,
        *,
        scale: float | list[float] | None = None,
        zero_point: int = 0,
        axis: int = 0,
        data: npt.ArrayLike | None = None,
        name: str | None = None,
        is_variable: bool = False,
    ) -> int:
        """Add a tensor; returns its id."""
        t = schema.TensorT()
        t.shape = list(shape)
        t.type = int(dtype)
        t.name = name or f"tensor_{len(self.tensors)}"
        t.buffer = 0
        t.isVariable = is_variable
        if data is not None:
            buffer = schema.BufferT()
            raw = np.ascontiguousarray(data, np.dtype(NUMPY_DTYPES[dtype]).newbyteorder("<")).tobytes()
            buffer.data = np.frombuffer(raw, np.uint8)
            t.buffer = len(self.buffers)
            self.buffers.append(buffer)
        if scale is not None:
            scales = scale if isinstance(scale, list) else [scale]
            t.quantization = schema.QuantizationParametersT()
            t.quantization.scale = scales
            t.quantization.zeroPoint = [zero_point] * len(scales)
            t.quantization.quantizedDimension = axis
        self.tensors.append(t)
        return len(self.tensors) - 1

    def op(self, name: str, inputs: list[int], outputs: list[int], **options: Any) -> None:
        """Add an operator with its options by their Python names."""
        code = getattr(schema.BuiltinOperator, name)
        if code not in self.codes:
            self.codes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex = self.codes.index(code)
        operator.inputs, operator.outputs = inputs, outputs
        if name in OPTIONS:
            union, kind = OPTIONS[name]
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, union)
            operator.builtinOptions = kind()
            for key, value in options.items():
                assert hasattr(operator.builtinOptions, key), key
                setattr(operator.builtinOptions, key, value)
        self.operators.append(operator)

    def build(self, inputs: list[int], outputs: list[int]) -> bytes:
        """The file."""
        graph = schema.SubGraphT()
        graph.tensors, graph.operators = self.tensors, self.operators
        graph.inputs, graph.outputs = inputs, outputs
        model = schema.ModelT()
        model.version = 3
        model.subgraphs = [graph]
        for other in self.others:
            further = schema.SubGraphT()
            further.tensors, further.operators, further.inputs, further.outputs = other.tensors, other.operators, [], []
            model.subgraphs.append(further)
        model.buffers = self.buffers
        model.operatorCodes = []
        for code in self.codes:
            entry = schema.OperatorCodeT()
            entry.builtinCode = code
            entry.deprecatedBuiltinCode = min(code, 127)
            entry.version = 1
            model.operatorCodes.append(entry)
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())
