"""SUB: int8, broadcast, rank up to 4."""

from __future__ import annotations

import numpy as np

from tinyfleet_codegen.elementwise import BinaryAttrs, BinaryOp, BinaryScales, read_binary_attrs
from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.ops.add import LEFT_SHIFT
from tinyfleet_codegen.quant import Int64Array, float32_quotient, quantize_multiplier, requantize
from tinyfleet_codegen.tflite.flatbuffer import Table


class Sub(BinaryOp):
    """Inputs that broadcast to the output's shape; either may be a constant."""

    name = "SUB"
    kernel = "tyf_sub_s8"
    rounding = "as ADD, but the ratios of scales are float32"

    def read_attrs(self, options: Table | None) -> BinaryAttrs:
        return read_binary_attrs(options)

    def scales(self, graph: Graph, node: Node) -> BinaryScales:
        a, b, output = (np.float32(t.scale) for t in (graph.input_tensor(node, 0), graph.input_tensor(node, 1), graph.output_tensor(node)))
        with np.errstate(over="ignore"):
            twice_max, unit = np.float32(2) * max(a, b), np.float32(1 << LEFT_SHIFT) * output
        return BinaryScales(
            quantize_multiplier(float(float32_quotient(a, twice_max))),
            quantize_multiplier(float(float32_quotient(b, twice_max))),
            quantize_multiplier(float(float32_quotient(twice_max, unit))),
        )

    def combine(self, scales: BinaryScales, a: Int64Array, b: Int64Array) -> Int64Array:
        difference = requantize(a << LEFT_SHIFT, *scales.a) - requantize(b << LEFT_SHIFT, *scales.b)
        return requantize(difference, *scales.output)
