"""ADD of two tensors of one shape: one input is multiplied by a power of two, the other scaled."""

from __future__ import annotations

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


class AddMve(Kernel):
    """No broadcast."""

    op = "ADD"

    def __init__(self, *, relu: bool) -> None:
        self.relu = relu
        self.symbol = f"tyf_add{'_relu' if relu else ''}_s8_mve"

    def fits(self, graph: Graph, node: Node) -> bool:
        shapes = {tensor.shape for tensor in (graph.input_tensor(node, 0), graph.input_tensor(node, 1), graph.output_tensor(node))}
        first, second, (_, shift) = add_multipliers(graph, node)
        return (
            len(shapes) == 1
            and HALF in (first, second)
            and max(first[1], second[1]) <= 0
            and 1 <= -shift <= MAX_SHIFT
            and self.relu == clamps_negative(graph, node)
        )

    def output_overlap(self, graph: Graph, node: Node, position: int) -> Overlap | None:
        return elementwise_overlap(graph.output_tensor(node).shape, graph.input_tensor(node, position).shape)

    def emit(self, graph: Graph, node: Node, printer: CallPrinter) -> None:
        scales, (multiplier, shift) = add_multipliers(graph, node)[:2], add_multipliers(graph, node)[2]
        halved, scaled = (0, 1) if scales[0] == HALF else (1, 0)
        output = graph.output_tensor(node)
        low, high = activation_range(attrs_of(node, BinaryAttrs).activation, output)
        fields = {
            "elements": output.elements,
            "halved_offset": -graph.input_tensor(node, halved).zero_point << (LEFT_SHIFT - 1),
            "scaled_offset": -graph.input_tensor(node, scaled).zero_point << LEFT_SHIFT,
            "scaled_multiplier": scales[scaled][0],
            "scaled_shift": scales[scaled][1],
            "scaled_sign": int(scales[scaled][1] < 0),
            "multiplier": multiplier,
            "round": (1 << (-shift - 1)) + (output.zero_point << -shift),
            "left": 24 + shift,
            "activation_min": low,
            "activation_max": high,
        }
        printer.call(
            self.symbol,
            printer.params("tyf_mve_add", fields),
            printer.tensor(node.inputs[halved]),
            printer.tensor(node.inputs[scaled]),
            printer.tensor(node.outputs[0]),
        )
