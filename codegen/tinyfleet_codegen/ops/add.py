"""ADD: int8, broadcast, rank up to 4."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinyfleet_codegen.errors import ShapeError
from tinyfleet_codegen.geometry import Activation, activation_range, read_activation
from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.op import Array, CallPrinter, Op, attrs_of, require_dtype, require_per_tensor_quant, require_shape
from tinyfleet_codegen.quant import quantize_multiplier, requantize
from tinyfleet_codegen.tflite.flatbuffer import Table
from tinyfleet_codegen.wire.ids import DType

LEFT_SHIFT = 20
"""Both inputs are scaled up by 2**20 before they meet."""


@dataclass(frozen=True, slots=True)
class AddAttrs:
    """Options of ADD."""

    activation: Activation


def add_multipliers(graph: Graph, node: Node) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
    """(multiplier, shift) of the first input, the second and the output, in double precision."""
    a, b, output = graph.input_tensor(node, 0), graph.input_tensor(node, 1), graph.output_tensor(node)
    twice_max = 2.0 * max(a.scale, b.scale)
    return (
        quantize_multiplier(a.scale / twice_max),
        quantize_multiplier(b.scale / twice_max),
        quantize_multiplier(twice_max / ((1 << LEFT_SHIFT) * output.scale)),
    )


class Add(Op):
    """Inputs that broadcast to the output's shape; either may be a constant."""

    name = "ADD"
    input_count = (2, 2)
    rounding = "double rounding of each input, scaled up by 2**20, and of their sum"

    def read_attrs(self, options: Table | None) -> AddAttrs:
        return AddAttrs(Activation.NONE if options is None else read_activation(options.u8(0), options.what))

    def check(self, graph: Graph, node: Node) -> None:
        a, b, output = graph.input_tensor(node, 0), graph.input_tensor(node, 1), graph.output_tensor(node)
        for what, tensor in (("input", a), ("input", b), ("output", output)):
            require_dtype(node, what, tensor, DType.INT8)
            require_per_tensor_quant(node, what, tensor)
        try:
            shape = np.broadcast_shapes(a.shape, b.shape)
        except ValueError:
            raise ShapeError(f"{node.label}: {list(a.shape)} and {list(b.shape)} do not broadcast") from None
        require_shape(node, "output", output, shape)
        if len(shape) > 4 or output.elements == 0:
            raise ShapeError(f"{node.label}: output {list(shape)} must have rank at most 4 and elements")
        add_multipliers(graph, node)

    def reference(self, graph: Graph, node: Node, inputs: list[Array | None]) -> Array:
        output = graph.output_tensor(node)
        scale_a, scale_b, scale_out = add_multipliers(graph, node)
        low, high = activation_range(attrs_of(node, AddAttrs).activation, output)
        total = np.zeros(output.shape, np.int64)
        for position, scale in enumerate((scale_a, scale_b)):
            x = inputs[position]
            assert x is not None
            shifted = (x.astype(np.int64) - graph.input_tensor(node, position).zero_point) << LEFT_SHIFT
            total = total + requantize(shifted, *scale)
        return np.clip(requantize(total, *scale_out) + output.zero_point, low, high).astype(np.int8)

    def emit(self, graph: Graph, node: Node, printer: CallPrinter) -> None:
        output = graph.output_tensor(node)
        scale_a, scale_b, scale_out = add_multipliers(graph, node)
        low, high = activation_range(attrs_of(node, AddAttrs).activation, output)
        shape = (1,) * (4 - len(output.shape)) + output.shape
        fields = {f"dims[{i}]": d for i, d in enumerate(shape)}
        for position, (name, scale) in enumerate((("a", scale_a), ("b", scale_b))):
            source = graph.input_tensor(node, position)
            fields |= {f"{name}.strides[{i}]": s for i, s in enumerate(_strides(source.shape))}
            fields |= {f"{name}.offset": -source.zero_point, f"{name}.multiplier": scale[0], f"{name}.shift": scale[1]}
        fields |= {
            "output_offset": output.zero_point,
            "output_multiplier": scale_out[0],
            "output_shift": scale_out[1],
            "activation_min": low,
            "activation_max": high,
        }
        params = printer.params("tyf_add_s8_params", fields)
        printer.call("tyf_add_s8", params, printer.tensor(node.inputs[0]), printer.tensor(node.inputs[1]), printer.tensor(node.outputs[0]))


def _strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Element steps of an input along the four output dimensions; 0 where it broadcasts."""
    padded = (1,) * (4 - len(shape)) + shape
    strides, step = [], 1
    for size in reversed(padded):
        strides.append(0 if size == 1 else step)
        step *= size
    return tuple(reversed(strides))
