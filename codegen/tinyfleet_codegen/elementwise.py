"""What functions of two int8 or int16 tensors share: broadcasting, scales, one parameter struct."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np

from tinyfleet_codegen.errors import ShapeError
from tinyfleet_codegen.geometry import Activation, activation_range, read_activation
from tinyfleet_codegen.ir import NUMPY_DTYPES, Graph, Node, Tensor
from tinyfleet_codegen.movement import strides_of
from tinyfleet_codegen.op import (
    Array,
    CallPrinter,
    Float32Array,
    Op,
    attrs_of,
    kernel_type,
    require_activations,
    require_same_quant,
    require_shape,
)
from tinyfleet_codegen.overlap import Overlap, elementwise_overlap
from tinyfleet_codegen.quant import Int64Array
from tinyfleet_codegen.tflite.flatbuffer import Table

Multiplier = tuple[int, int]
"""(multiplier, shift) as of ``quantize_multiplier``."""
UNUSED: Multiplier = (0, 0)


@dataclass(frozen=True, slots=True)
class BinaryAttrs:
    """Options of an op of two inputs."""

    activation: Activation


@dataclass(frozen=True, slots=True)
class BinaryScales:
    """Multipliers of both inputs and of the result; what each means is the op's own matter.

    Attributes:
        left_shift: Bits by which both inputs are scaled up before they meet.
    """

    a: Multiplier = UNUSED
    b: Multiplier = UNUSED
    output: Multiplier = UNUSED
    left_shift: int = 0


class BinaryOp(Op):
    """Two inputs of one type that broadcast to the output's shape, rank <= 4; either may be a constant."""

    input_count = (2, 2)
    kernel: str
    """The C function, without the type at its end."""
    has_int16 = True

    def read_attrs(self, options: Table | None) -> BinaryAttrs:
        return BinaryAttrs(Activation.NONE)

    @abstractmethod
    def scales(self, graph: Graph, node: Node) -> BinaryScales:
        """Multipliers.

        Raises:
            QuantError: a scale cannot be represented.
        """

    @abstractmethod
    def combine(self, scales: BinaryScales, a: Int64Array, b: Int64Array) -> Int64Array:
        """Results without the output's zero point, from inputs without theirs."""

    def check(self, graph: Graph, node: Node) -> None:
        a, b, output = graph.input_tensor(node, 0), graph.input_tensor(node, 1), graph.output_tensor(node)
        require_activations(node, ("input", a), ("input", b), ("output", output), int16=self.has_int16)
        require_broadcast(graph, node)
        self.scales(graph, node)

    def reference(self, graph: Graph, node: Node, inputs: list[Array | None]) -> Array:
        output = graph.output_tensor(node)
        a, b = inputs
        assert a is not None and b is not None
        values = [x.astype(np.int64) - graph.input_tensor(node, i).zero_point for i, x in enumerate((a, b))]
        result = self.combine(self.scales(graph, node), *values) + output.zero_point
        return np.clip(result, *activation_range(attrs_of(node, BinaryAttrs).activation, output)).astype(NUMPY_DTYPES[output.dtype])

    def output_overlap(self, graph: Graph, node: Node, position: int) -> Overlap | None:
        output = graph.output_tensor(node)
        return elementwise_overlap(output.shape, graph.input_tensor(node, position).shape, output.element_bytes, output.element_bytes)

    def emit(self, graph: Graph, node: Node, printer: CallPrinter) -> None:
        output, scales = graph.output_tensor(node), self.scales(graph, node)
        low, high = activation_range(attrs_of(node, BinaryAttrs).activation, output)
        fields = binary_fields(graph, node, scales) | {
            "output_offset": output.zero_point,
            "output_multiplier": scales.output[0],
            "output_shift": scales.output[1],
            "activation_min": low,
            "activation_max": high,
        }
        params = printer.params("tyf_binary_s8_params", fields)
        places = [printer.tensor(i) for i in (*node.inputs, *node.outputs)]
        printer.call(f"{self.kernel}_{kernel_type(output)}", params, *places)


class ExtremeOp(BinaryOp):
    """One of two quantized values, or of two floats; inputs and output have one scale and zero point, so nothing is rescaled."""

    rounding = "exact"
    choose: np.ufunc
    """Which of two."""

    def check(self, graph: Graph, node: Node) -> None:
        super().check(graph, node)
        for position in (0, 1):
            require_same_quant(node, graph.input_tensor(node, position), graph.output_tensor(node))

    def scales(self, graph: Graph, node: Node) -> BinaryScales:
        return BinaryScales()

    def combine(self, scales: BinaryScales, a: Int64Array, b: Int64Array) -> Int64Array:
        chosen: Int64Array = self.choose(a, b)
        return chosen

    def float_function(self, node: Node, inputs: list[Float32Array]) -> Float32Array:
        chosen: Float32Array = self.choose(*inputs)
        return chosen


def require_broadcast(graph: Graph, node: Node) -> None:
    """Refuse inputs that do not broadcast to the output's shape, of rank <= 4 and with elements."""
    output = graph.output_tensor(node)
    shapes = [graph.input_tensor(node, i).shape for i in range(len(node.inputs))]
    try:
        shape = np.broadcast_shapes(*shapes)
    except ValueError:
        raise ShapeError(f"{node.label}: {' and '.join(str(list(s)) for s in shapes)} do not broadcast") from None
    require_shape(node, "output", output, shape)
    if len(shape) > 4 or output.elements == 0:
        raise ShapeError(f"{node.label}: output {list(shape)} must have rank at most 4 and elements")


def dims_fields(graph: Graph, node: Node) -> dict[str, int]:
    """The kernel's parameter ``dims``: of the output."""
    return {f"dims[{i}]": d for i, d in enumerate(_four(graph.output_tensor(node).shape))}


def stride_fields(name: str, source: Tensor) -> dict[str, int]:
    """The kernel's parameter ``name``: elements between neighbours, 0 where the input broadcasts."""
    shape = _four(source.shape)
    strides = [0 if d == 1 else s for d, s in zip(shape, strides_of(shape), strict=True)]
    return {f"{name}[{i}]": s for i, s in enumerate(strides)}


def binary_fields(graph: Graph, node: Node, scales: BinaryScales) -> dict[str, int]:
    """The kernel's parameters ``dims``, ``a`` and ``b``."""
    fields = dims_fields(graph, node)
    for position, (name, (multiplier, shift)) in enumerate((("a", scales.a), ("b", scales.b))):
        source = graph.input_tensor(node, position)
        fields |= stride_fields(f"{name}.strides", source)
        fields |= {f"{name}.offset": -source.zero_point, f"{name}.multiplier": multiplier, f"{name}.shift": shift}
    return fields


def clamp_floats(node: Node, x: Float32Array) -> Float32Array:
    """The fused activation in float32."""
    low, high = {
        Activation.NONE: (-np.inf, np.inf),
        Activation.RELU: (0.0, np.inf),
        Activation.RELU_N1_TO_1: (-1.0, 1.0),
        Activation.RELU6: (0.0, 6.0),
    }[attrs_of(node, BinaryAttrs).activation]
    return np.clip(x, np.float32(low), np.float32(high))


def read_binary_attrs(options: Table | None) -> BinaryAttrs:
    """Options whose first field is a fused activation."""
    return BinaryAttrs(Activation.NONE if options is None else read_activation(options.u8(0), options.what))


def _four(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (1,) * (4 - len(shape)) + shape
