"""A convolution and the ADD that reads it: each two pixels are added when they are made."""

from __future__ import annotations

import math

from tinyfleet_codegen.convolution import ConvolutionAttrs
from tinyfleet_codegen.fused_add import FusedAddAttrs
from tinyfleet_codegen.geometry import activation_range
from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.kernels.dsp.add import AddDsp, add_params, add_table, shifted_and_looked_up
from tinyfleet_codegen.kernels.dsp.conv2d import Conv2DDsp, conv2d_stream
from tinyfleet_codegen.kernels.kernel import Kernel
from tinyfleet_codegen.op import CallPrinter, attrs_of
from tinyfleet_codegen.ops.conv2d import conv2d_params
from tinyfleet_codegen.overlap import Overlap, elementwise_overlap

_CONV, _ADD = Conv2DDsp(), AddDsp()


class Conv2DAddDsp(Kernel):
    """What both kernels take, an even number of pixels, no clamp between the two."""

    op = "CONV_2D_ADD"
    symbol = "tyf_conv2d_add_s8_dsp"

    def fits(self, graph: Graph, node: Node) -> bool:
        attrs = attrs_of(node, FusedAddAttrs)
        middle = graph.output_tensor(attrs.conv)
        is_unclamped = activation_range(attrs_of(attrs.conv, ConvolutionAttrs).activation, middle) == (-128, 127)
        is_even = math.prod(middle.shape[1:3]) % 2 == 0
        return is_even and is_unclamped and _CONV.fits(graph, attrs.conv) and _ADD.fits(graph, attrs.add)

    def scratch_bytes(self, graph: Graph, node: Node) -> int:
        conv = attrs_of(node, FusedAddAttrs).conv
        return _CONV.scratch_bytes(graph, conv) + 2 * graph.output_tensor(conv).shape[3]

    def output_overlap(self, graph: Graph, node: Node, position: int) -> Overlap | None:
        if position == 0:
            return _CONV.output_overlap(graph, attrs_of(node, FusedAddAttrs).conv, 0)
        shape = graph.output_tensor(node).shape
        return elementwise_overlap(shape, shape)

    def emit(self, graph: Graph, node: Node, printer: CallPrinter) -> None:
        attrs = attrs_of(node, FusedAddAttrs)
        _, looked_up = shifted_and_looked_up(graph, attrs.add)
        two_pixels = 2 * graph.output_tensor(attrs.conv).shape[3]
        fields = {f"conv.{name}": value for name, value in conv2d_params(graph, attrs.conv).items()}
        fields |= {f"add.{name}": value for name, value in add_params(graph, attrs.add, two_pixels).items()}
        fields["looks_up_residual"] = int(looked_up == attrs.residual)
        printer.call(
            self.symbol,
            printer.params("tyf_dsp_conv2d_add", fields),
            printer.tensor(node.inputs[0]),
            printer.constant("stream", "uint32_t", conv2d_stream(graph, attrs.conv)),
            printer.tensor(node.inputs[1]),
            printer.constant("table", "int32_t", add_table(graph, attrs.add)),
            printer.scratch(),
            printer.tensor(node.outputs[0]),
        )
