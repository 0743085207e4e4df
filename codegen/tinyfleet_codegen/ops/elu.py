"""ELU: int8, with a change of scale."""

from __future__ import annotations

import numpy as np

from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.lookup import LookupOp
from tinyfleet_codegen.op import Float32Array
from tinyfleet_codegen.quant import Int64Array, round_floats_half_away


class Elu(LookupOp):
    """Elementwise, any shape; input and output may have different scales."""

    name = "ELU"
    rounding = "float32 at build time, nearest, ties away from zero; a 256-entry table on the device"

    def results(self, graph: Graph, node: Node, q: Int64Array) -> Int64Array:
        source, output = graph.input_tensor(node, 0), graph.output_tensor(node)
        x = (q - source.zero_point).astype(np.float32) * np.float32(source.scale)
        # In double and then rounded: the same on every machine, unlike a float32 exponential.
        exponential = np.exp(np.minimum(x, 0).astype(np.float64)).astype(np.float32)
        ratio = np.where(x < 0, exponential - np.float32(1), x) * (np.float32(1) / np.float32(output.scale))
        rounded: Int64Array = np.clip(round_floats_half_away(ratio), -1e6, 1e6).astype(np.int64)
        return rounded + output.zero_point

    def float_function(self, node: Node, inputs: list[Float32Array]) -> Float32Array:
        (x,) = inputs
        return np.where(x < 0, np.expm1(x.astype(np.float64)).astype(np.float32), x)
