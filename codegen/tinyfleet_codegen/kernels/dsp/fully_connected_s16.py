"""FULLY_CONNECTED and 1x1 CONV_2D of int16, two products an instruction; two rows or pixels share each load of weights."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tinyfleet_codegen.convolution import ConvolutionAttrs, convolution_axes, requantization_fields
from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.kernels.dsp.tables import as_words
from tinyfleet_codegen.kernels.kernel import Kernel
from tinyfleet_codegen.op import CallPrinter, attrs_of, data_of
from tinyfleet_codegen.ops.fully_connected import fully_connected_params
from tinyfleet_codegen.overlap import Overlap, forward_overlap
from tinyfleet_codegen.weights import bias_values, has_wide_sums, requantization
from tinyfleet_codegen.wire.ids import DType


class FullyConnectedS16Dsp(Kernel):
    """Any shape, with int64 sums."""

    op = "FULLY_CONNECTED"
    symbol = "tyf_fully_connected_s16_dsp"
    dtype = DType.INT16

    def fits(self, graph: Graph, node: Node) -> bool:
        return has_wide_sums(graph, node)

    def params(self, graph: Graph, node: Node) -> dict[str, int]:
        """Fields of ``tyf_fully_connected_s8_params``."""
        return fully_connected_params(graph, node)

    def output_overlap(self, graph: Graph, node: Node, position: int) -> Overlap:
        fields = self.params(graph, node)
        rows, depth, units = fields["rows"], fields["depth"], fields["units"]
        first = np.arange(0, rows, 2)
        together = np.minimum(2, rows - first)
        # Each unit reads both rows again, and the last one is written last.
        return forward_overlap((first * units + together * units - 1) * 2, first * depth * 2)

    def emit(self, graph: Graph, node: Node, printer: CallPrinter) -> None:
        weights, scaling = data_of(graph.input_tensor(node, 1)), requantization(graph, node)
        units = weights.shape[0]
        repeat = units // len(scaling.multipliers)
        printer.call(
            self.symbol,
            printer.params("tyf_fully_connected_s8_params", self.params(graph, node)),
            printer.tensor(node.inputs[0]),
            printer.constant("weights", "uint32_t", _packed(weights.reshape(units, -1))),
            printer.constant("bias", "int64_t", bias_values(graph, node, units)),
            printer.constant("multiplier", "int16_t", np.repeat(np.array(scaling.multipliers), repeat)),
            printer.constant("shift", "int8_t", np.repeat(np.array(scaling.shifts), repeat)),
            printer.tensor(node.outputs[0]),
        )


class Conv2D1x1S16Dsp(FullyConnectedS16Dsp):
    """One group, every pixel by itself: a dense layer whose rows are pixels."""

    op = "CONV_2D"

    def fits(self, graph: Graph, node: Node) -> bool:
        attrs, weights = attrs_of(node, ConvolutionAttrs), graph.input_tensor(node, 1)
        is_plain = weights.shape[1:] == (1, 1, graph.input_tensor(node, 0).shape[3])
        return is_plain and (attrs.stride_h, attrs.stride_w) == (1, 1) and has_wide_sums(graph, node)

    def params(self, graph: Graph, node: Node) -> dict[str, int]:
        rows, columns = convolution_axes(graph, node)
        units, _, _, depth = graph.input_tensor(node, 1).shape
        return {"rows": rows.output * columns.output, "depth": depth, "units": units, **requantization_fields(graph, node)}


def _packed(weights: npt.NDArray[np.generic]) -> npt.NDArray[np.uint32]:
    """Rows of int8 ``[units, depth]``, padded with zeros; of each four the middle two change places, as SXTB16 takes every other byte."""
    units, depth = weights.shape
    padded = np.zeros((units, -(-depth // 4) * 4), np.int8)
    padded[:, :depth] = weights
    return as_words(padded.reshape(units, -1, 4)[:, :, [0, 2, 1, 3]])
