"""ADD and SUB as one linear function of both inputs, compared with the oracle's arithmetic for every pair of inputs."""

from __future__ import annotations

from functools import lru_cache
from itertools import product

import numpy as np

from tinyfleet_codegen.elementwise import BinaryAttrs, BinaryOp, BinaryScales
from tinyfleet_codegen.geometry import activation_range
from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.kernels.kernel import Kernel
from tinyfleet_codegen.op import CallPrinter, attrs_of
from tinyfleet_codegen.overlap import Overlap, elementwise_overlap
from tinyfleet_codegen.quant import INT32_MAX, INT32_MIN

SHIFT = 21
"""SHIFT of sum_s8_v6m.S: results may range over 2**11 steps before they are clamped."""
NEIGHBOURS = 6
"""How far from its nearest value each multiplier may be moved."""

Line = tuple[int, int, int]
"""Multipliers of a and b, and the offset."""


class SumV6M(Kernel):
    """Inputs of one shape."""

    symbol = "tyf_sum_s8_v6m"

    def __init__(self, op: str) -> None:
        self.op = op

    def fits(self, graph: Graph, node: Node) -> bool:
        same_shape = graph.input_tensor(node, 0).shape == graph.input_tensor(node, 1).shape == graph.output_tensor(node).shape
        return same_shape and _line_of(graph, node) is not None

    def output_overlap(self, graph: Graph, node: Node, position: int) -> Overlap | None:
        return elementwise_overlap(graph.output_tensor(node).shape, graph.input_tensor(node, position).shape)

    def emit(self, graph: Graph, node: Node, printer: CallPrinter) -> None:
        output, line = graph.output_tensor(node), _line_of(graph, node)
        assert line is not None
        low, high = activation_range(attrs_of(node, BinaryAttrs).activation, output)
        fields = {
            "count": output.elements,
            "a_multiplier": line[0],
            "b_multiplier": line[1],
            "offset": line[2],
            "activation_min": low,
            "activation_max": high,
        }
        params = printer.params("tyf_sum_s8_v6m_params", fields)
        printer.call(self.symbol, params, printer.tensor(node.inputs[0]), printer.tensor(node.inputs[1]), printer.tensor(node.outputs[0]))


def _line_of(graph: Graph, node: Node) -> Line | None:
    a, b, output = graph.input_tensor(node, 0), graph.input_tensor(node, 1), graph.output_tensor(node)
    assert isinstance(node.op, BinaryOp)
    low, high = activation_range(attrs_of(node, BinaryAttrs).activation, output)
    slopes = (a.scale / output.scale, (-b.scale if node.op.name == "SUB" else b.scale) / output.scale)
    return find_line(node.op, node.op.scales(graph, node), slopes, (a.zero_point, b.zero_point, output.zero_point), (low, high))


@lru_cache(maxsize=256)
def find_line(
    op: BinaryOp, scales: BinaryScales, slopes: tuple[float, float], zero_points: tuple[int, int, int], limits: tuple[int, int]
) -> Line | None:
    """A line that, shifted and clamped, is the op's value for all pairs of inputs; None when none was found.

    Args:
        slopes: Output steps per step of a and of b.
        zero_points: Of a, b and the output.
        limits: Of the output.
    """
    q = np.arange(-128, 128)
    a, b = (values.reshape(-1) for values in np.meshgrid(q, q, indexing="ij"))
    value = np.clip(op.combine(scales, a - zero_points[0], b - zero_points[1]) + zero_points[2], *limits)
    nearest = [round(slope * 2**SHIFT) for slope in slopes]
    if max(map(abs, nearest)) * 256 > INT32_MAX:
        return None
    # A value at a limit may lie anywhere beyond it.
    is_above_low, is_below_high = value > limits[0], value < limits[1]
    steps = sorted(range(-NEIGHBOURS, NEIGHBOURS + 1), key=abs)
    for step_a, step_b in sorted(product(steps, steps), key=lambda pair: abs(pair[0]) + abs(pair[1])):
        line = a * (nearest[0] + step_a) + b * (nearest[1] + step_b)
        least = ((value << SHIFT) - line)[is_above_low].max(initial=INT32_MIN)
        most = (((value + 1) << SHIFT) - 1 - line)[is_below_high].min(initial=INT32_MAX)
        offset = int(least + most) >> 1
        if least <= most and line.min() + offset >= INT32_MIN and line.max() + offset <= INT32_MAX:
            return nearest[0] + step_a, nearest[1] + step_b, offset
    return None
