"""What LOGISTIC and TANH share: the range of an input in Q4.27 that is not yet flat."""

from __future__ import annotations

import math

import numpy as np

from tinyfleet_codegen.errors import QuantError
from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.quant import Int64Array, quantize_multiplier, requantize

INPUT_INTEGER_BITS = 4


def scaled_input(graph: Graph, node: Node, q: Int64Array) -> tuple[Int64Array, Int64Array]:
    """Quantized inputs to Q4.27, and where they lie: -1 below, 0 inside, 1 above the range that is computed.

    Raises:
        QuantError: the input's scale is too small or too large to be represented.
    """
    source = graph.input_tensor(node, 0)
    multiplier, shift = quantize_multiplier(source.scale * 2.0 ** (31 - INPUT_INTEGER_BITS))
    if shift < 0:
        raise QuantError(f"{node.label}: input scale {source.scale} is too small")
    radius = math.floor(((1 << INPUT_INTEGER_BITS) - 1) * 2.0 ** (31 - INPUT_INTEGER_BITS) / 2.0**shift)
    x = q - source.zero_point
    side = np.where(x <= -radius, -1, np.where(x >= radius, 1, 0))
    return requantize(np.where(side == 0, x, 0), multiplier, shift), side


def require_output_quant(graph: Graph, node: Node, scale: float, zero_point: int) -> None:
    """Refuse an output of another scale or zero point than the oracle's arithmetic has."""
    output = graph.output_tensor(node)
    if (output.scale, output.zero_point) != (scale, zero_point):
        raise QuantError(
            f"{node.label}: output must have scale {scale} and zero point {zero_point}, got {output.scale} and {output.zero_point}"
        )
