"""ADD of two tensors of one shape: one input is shifted, the other looked up."""

from __future__ import annotations

import numpy as np

from tinyfleet_codegen.elementwise import BinaryAttrs
from tinyfleet_codegen.geometry import activation_range
from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.kernels.dsp.tables import MAX_SHIFT
from tinyfleet_codegen.kernels.kernel import Kernel
from tinyfleet_codegen.op import CallPrinter, attrs_of
from tinyfleet_codegen.ops.add import LEFT_SHIFT, add_multipliers
from tinyfleet_codegen.overlap import Overlap, elementwise_overlap
from tinyfleet_codegen.quant import Int64Array, requantize

HALF = (2**30, 0)
"""Multiplier and shift of the input with the larger scale, which is exact: 2**20 * q becomes 2**19 * q."""


class AddDsp(Kernel):
    """No broadcast."""

    op = "ADD"
    symbol = "tyf_add_s8_dsp"

    def fits(self, graph: Graph, node: Node) -> bool:
        shapes = {tensor.shape for tensor in (graph.input_tensor(node, 0), graph.input_tensor(node, 1), graph.output_tensor(node))}
        first, second, (_, shift) = add_multipliers(graph, node)
        return len(shapes) == 1 and HALF in (first, second) and 1 <= -shift <= MAX_SHIFT

    def output_overlap(self, graph: Graph, node: Node, position: int) -> Overlap | None:
        return elementwise_overlap(graph.output_tensor(node).shape, graph.input_tensor(node, position).shape)

    def emit(self, graph: Graph, node: Node, printer: CallPrinter) -> None:
        shifted, looked_up = shifted_and_looked_up(graph, node)
        printer.call(
            self.symbol,
            printer.params("tyf_dsp_add", add_params(graph, node, graph.output_tensor(node).elements)),
            printer.tensor(node.inputs[shifted]),
            printer.tensor(node.inputs[looked_up]),
            printer.constant("table", "int32_t", add_table(graph, node)),
            printer.tensor(node.outputs[0]),
        )


def shifted_and_looked_up(graph: Graph, node: Node) -> tuple[int, int]:
    """Positions of the input that is shifted and of the one that is looked up."""
    return (0, 1) if add_multipliers(graph, node)[0] == HALF else (1, 0)


def add_params(graph: Graph, node: Node, elements: int) -> dict[str, int]:
    """Fields of ``tyf_dsp_add`` for so many elements."""
    _, _, (multiplier, shift) = add_multipliers(graph, node)
    output = graph.output_tensor(node)
    low, high = activation_range(attrs_of(node, BinaryAttrs).activation, output)
    return {
        "elements": elements,
        "multiplier": multiplier,
        "round": (1 << (-shift - 1)) + (output.zero_point << -shift),
        "shift": -shift,
        "activation_min": low,
        "activation_max": high,
    }


def add_table(graph: Graph, node: Node) -> Int64Array:
    """For each value of the input that is looked up, from -128 on, what the other one's shifted value is added to."""
    shifted, looked_up = shifted_and_looked_up(graph, node)
    values = (np.arange(-128, 128) - graph.input_tensor(node, looked_up).zero_point) << LEFT_SHIFT
    scaled = requantize(values, *add_multipliers(graph, node)[looked_up])
    return 2 * scaled - (graph.input_tensor(node, shifted).zero_point << LEFT_SHIFT)
