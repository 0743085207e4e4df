"""What LOGISTIC and TANH share: the range of an int8 input in Q4.27 that is not yet flat; the kernel and scales of int16."""

from __future__ import annotations

import math

import numpy as np

from tinyfleet_codegen.errors import QuantError
from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.op import CallPrinter
from tinyfleet_codegen.quant import Int64Array, quantize_multiplier, requantize
from tinyfleet_codegen.sigmoid_table import SIGMOID_TABLE

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


def int16_scale(graph: Graph, node: Node, most_doublings: int) -> tuple[int, int]:
    """(multiplier, shift to the right) that bring an int16 input to 3 * 2**12 for 1.0, as the oracle chooses them.

    Args:
        most_doublings: How much larger than 2**-12 the scale may be, as a power of two, to count as such a power.

    Raises:
        QuantError: the input's scale is too small or too large.
    """
    scale = graph.input_tensor(node, 0).scale
    exponent = np.log(np.float32(scale)) * np.float32(1.0 / np.log(np.float32(2.0)))
    doublings = int(np.rint(exponent)) + 12
    if abs(exponent - np.rint(exponent)) < 1e-3 and 0 <= doublings <= most_doublings:
        return 3 << doublings, 0
    multiplier, shift = scale * 4096.0 * 3.0, 0
    while multiplier <= 32767.0 / 2.0 and shift <= 30:
        multiplier, shift = multiplier * 2.0, shift + 1
    if multiplier > 32767.0 or shift > 30:
        raise QuantError(f"{node.label}: input scale {scale} is too {'large' if multiplier > 32767.0 else 'small'}")
    return int(multiplier), shift


def emit_sigmoid_int16(graph: Graph, node: Node, printer: CallPrinter, kernel: str, scale: tuple[int, int]) -> None:
    """Print the table and the call of an int16 kernel."""
    fields = {"count": graph.output_tensor(node).elements, "multiplier": scale[0], "shift": scale[1]}
    printer.call(
        kernel,
        printer.params("tyf_sigmoid_s16_params", fields),
        printer.constant("table", "uint16_t", SIGMOID_TABLE),
        printer.tensor(node.inputs[0]),
        printer.tensor(node.outputs[0]),
    )
