"""TRANSPOSE_CONV: int8 or int16 with int8 weights, per-channel or per-tensor weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinyfleet_codegen.errors import ShapeError, UnsupportedOp
from tinyfleet_codegen.geometry import (
    Activation,
    Axis,
    Padding,
    activation_range,
    read_activation,
    read_padding,
    window_axis,
    window_fields,
)
from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.op import Array, CallPrinter, Op, attrs_of, data_of
from tinyfleet_codegen.tflite.flatbuffer import Table
from tinyfleet_codegen.weights import bias_values, check_weighted, emit_weighted, requantization


@dataclass(frozen=True, slots=True)
class TransposeConvAttrs:
    """Options of TRANSPOSE_CONV."""

    padding: Padding
    stride_h: int
    stride_w: int


class TransposeConv(Op):
    """Input `[1, h, w, c_in]`, weights `[c_out, kh, kw, c_in]`, bias `[c_out]` or none; the output tensor has the shape."""

    name = "TRANSPOSE_CONV"
    has_int16 = True
    input_count = (2, 3)
    rounding = "double rounding of the int32 sum, per channel; int16: one rounding of the int64 sum with a 15-bit multiplier"

    def read_attrs(self, options: Table | None) -> TransposeConvAttrs:
        if options is None:
            return TransposeConvAttrs(Padding.SAME, 0, 0)
        activation = read_activation(options.u8(3), options.what)
        if activation is not Activation.NONE:
            raise UnsupportedOp(f"{options.what}: fused activation {activation.name} is not supported")
        return TransposeConvAttrs(read_padding(options.u8(0), options.what), stride_w=options.i32(1), stride_h=options.i32(2))

    def arrange_inputs(self, inputs: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """From (output shape, weights, input, bias) to the order of other convolutions; the output tensor has the shape."""
        if len(inputs) not in (3, 4):
            raise ShapeError(f"{self.name} has {len(inputs)} inputs, expected 3 or 4")
        return (inputs[2], inputs[1], *inputs[3:])

    def _axes(self, graph: Graph, node: Node) -> tuple[Axis, Axis]:
        """Geometry of the convolution that goes the other way: from this op's output to its input."""
        attrs = attrs_of(node, TransposeConvAttrs)
        _, h, w, _ = graph.output_tensor(node).shape
        _, kh, kw, _ = graph.input_tensor(node, 1).shape
        return (
            window_axis(node, h, kernel=kh, stride=attrs.stride_h, dilation=1, padding=attrs.padding),
            window_axis(node, w, kernel=kw, stride=attrs.stride_w, dilation=1, padding=attrs.padding),
        )

    def check(self, graph: Graph, node: Node) -> None:
        source, weights, output = graph.input_tensor(node, 0), graph.input_tensor(node, 1), graph.output_tensor(node)
        if any(len(t.shape) != 4 for t in (source, weights, output)) or source.shape[0] != 1 or source.shape[3] != weights.shape[3]:
            raise ShapeError(
                f"{node.label}: input {list(source.shape)} must be [1, h, w, c] and weights {list(weights.shape)} [n, kh, kw, c]"
            )
        if output.shape[0] != 1 or output.shape[3] != weights.shape[0]:
            raise ShapeError(f"{node.label}: output {list(output.shape)} must be [1, h, w, {weights.shape[0]}]")
        rows, columns = self._axes(graph, node)
        if (rows.output, columns.output) != source.shape[1:3]:
            raise ShapeError(f"{node.label}: {list(source.shape)} does not become {list(output.shape)}")
        check_weighted(graph, node, channel_axis=0)

    def macs(self, graph: Graph, node: Node) -> int:
        return graph.input_tensor(node, 0).elements * graph.input_tensor(node, 1).elements // graph.input_tensor(node, 1).shape[3]

    def reference(self, graph: Graph, node: Node, inputs: list[Array | None]) -> Array:
        rows, columns = self._axes(graph, node)
        filters, output = data_of(graph.input_tensor(node, 1)).astype(np.float64), graph.output_tensor(node)
        x = inputs[0]
        assert x is not None
        values = x[0].astype(np.float64) - graph.input_tensor(node, 0).zero_point
        # Every input pixel adds to a window of the output; what lies outside is cut off at the end.
        reach = [(axis.output - 1) * axis.stride + axis.kernel for axis in (rows, columns)]
        sums = np.zeros((max(reach[0], rows.pad + rows.input), max(reach[1], columns.pad + columns.input), output.shape[3]))
        for ky in range(rows.kernel):
            for kx in range(columns.kernel):
                y = slice(ky, ky + (rows.output - 1) * rows.stride + 1, rows.stride)
                along = slice(kx, kx + (columns.output - 1) * columns.stride + 1, columns.stride)
                sums[y, along] += values @ filters[:, ky, kx, :].T
        inside = sums[rows.pad : rows.pad + rows.input, columns.pad : columns.pad + columns.input]
        biased = inside.astype(np.int64) + bias_values(graph, node, output.shape[3])
        low, high = activation_range(Activation.NONE, output)
        return requantization(graph, node).apply(biased, output.zero_point, low, high)[None]

    def emit(self, graph: Graph, node: Node, printer: CallPrinter) -> None:
        output = graph.output_tensor(node)
        fields = {
            **window_fields(*self._axes(graph, node)),
            "input_c": graph.input_tensor(node, 0).shape[3],
            "output_c": output.shape[3],
            "input_offset": -graph.input_tensor(node, 0).zero_point,
            "output_offset": output.zero_point,
        }
        params = printer.params("tyf_transpose_conv_s8_params", fields)
        emit_weighted(graph, node, printer, kernel="tyf_transpose_conv", params=params, channel_axis=0)
