"""LEAKY_RELU: int8 or int16, with a change of scale."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tinyfleet_codegen.errors import QuantError
from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.lookup import Slopes, SlopesOp
from tinyfleet_codegen.op import Float32Array, attrs_of
from tinyfleet_codegen.quant import Int64Array, quantize_multiplier, quantize_signed_multiplier, requantize
from tinyfleet_codegen.tflite.flatbuffer import Table


@dataclass(frozen=True, slots=True)
class LeakyReluAttrs:
    """Options of LEAKY_RELU."""

    alpha: float


class LeakyRelu(SlopesOp):
    """Elementwise, any shape; input and output may have different scales."""

    name = "LEAKY_RELU"
    rounding = "double rounding; of int8 a 256-entry table on the device"

    def read_attrs(self, options: Table | None) -> LeakyReluAttrs:
        return LeakyReluAttrs(options.f32(0) if options is not None else 0.0)

    def results(self, graph: Graph, node: Node, q: Int64Array) -> Int64Array:
        lines, x = self.slopes(graph, node), q - graph.input_tensor(node, 0).zero_point
        scaled = np.where(x >= 0, requantize(x, *lines.positive), requantize(x, *lines.negative))
        return scaled + graph.output_tensor(node).zero_point

    def slopes(self, graph: Graph, node: Node) -> Slopes:
        source, output = graph.input_tensor(node, 0), graph.output_tensor(node)
        alpha = attrs_of(node, LeakyReluAttrs).alpha
        if not math.isfinite(alpha):
            raise QuantError(f"{node.label}: alpha must be finite, got {alpha}")
        ratio = source.scale / output.scale
        return Slopes(quantize_multiplier(ratio), quantize_signed_multiplier(source.scale * alpha / output.scale))

    def float_function(self, node: Node, inputs: list[Float32Array]) -> Float32Array:
        (x,) = inputs
        return np.where(x > 0, x, x * np.float32(attrs_of(node, LeakyReluAttrs).alpha))
