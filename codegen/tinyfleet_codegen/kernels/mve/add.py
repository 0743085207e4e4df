"""ADD of two tensors of one shape: one input is multiplied by a power of two, the other looked up."""

from __future__ import annotations

import numpy as np

from tinyfleet_codegen.elementwise import BinaryAttrs
from tinyfleet_codegen.geometry import activation_range
from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.kernels.dsp.add import HALF
from tinyfleet_codegen.kernels.dsp.tables import MAX_SHIFT
from tinyfleet_codegen.kernels.kernel import Kernel
from tinyfleet_codegen.kernels.mve.tables import clamps_negative
from tinyfleet_codegen.op import CallPrinter, attrs_of
from tinyfleet_codegen.ops.add import LEFT_SHIFT, add_multipliers
from tinyfleet_codegen.overlap import Overlap, elementwise_overlap
from tinyfleet_codegen.quant import requantize


class AddMve(Kernel):
    """No broadcast."""

    op = "ADD"

    def __init__(self, *, relu: bool) -> None:
        self.relu = relu
        self.symbol = f"tyf_add{'_relu' if relu else ''}_s8_mve"

    def fits(self, graph: Graph, node: Node) -> bool:
        shapes = {tensor.shape for tensor in (graph.input_tensor(node, 0), graph.input_tensor(node, 1), graph.output_tensor(node))}
        first, second, (_, shift) = add_multipliers(graph, node)
        return len(shapes) == 1 and HALF in (first, second) and 1 <= -shift <= MAX_SHIFT and self.relu == clamps_negative(graph, node)

    def output_overlap(self, graph: Graph, node: Node, position: int) -> Overlap | None:
        return elementwise_overlap(graph.output_tensor(node).shape, graph.input_tensor(node, position).shape)

    def emit(self, graph: Graph, node: Node, printer: CallPrinter) -> None:
        first, second, (multiplier, shift) = add_multipliers(graph, node)
        shifted, looked_up = (0, 1) if first == HALF else (1, 0)
        output = graph.output_tensor(node)
        low, high = activation_range(attrs_of(node, BinaryAttrs).activation, output)
        values = np.arange(256, dtype=np.uint8).view(np.int8).astype(np.int64) - graph.input_tensor(node, looked_up).zero_point
        scaled = requantize(values << LEFT_SHIFT, *(first, second)[looked_up])
        fields = {
            "elements": output.elements,
            "multiplier": multiplier,
            "round": (1 << (-shift - 1)) + (output.zero_point << -shift),
            "left": 24 + shift,
            "activation_min": low,
            "activation_max": high,
        }
        printer.call(
            self.symbol,
            printer.params("tyf_mve_add", fields),
            printer.tensor(node.inputs[shifted]),
            printer.tensor(node.inputs[looked_up]),
            printer.constant("table", "int32_t", scaled - (graph.input_tensor(node, shifted).zero_point << (LEFT_SHIFT - 1))),
            printer.tensor(node.outputs[0]),
        )
