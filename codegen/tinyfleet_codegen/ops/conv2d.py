"""CONV_2D: int8, per-channel or per-tensor weights, grouped and dilated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinyfleet_codegen.errors import ShapeError
from tinyfleet_codegen.geometry import (
    Activation,
    Axis,
    Padding,
    activation_range,
    pad_for_windows,
    read_activation,
    read_padding,
    window_axis,
    window_fields,
)
from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.op import Array, CallPrinter, Op, attrs_of, data_of, require_shape
from tinyfleet_codegen.tflite.flatbuffer import Table
from tinyfleet_codegen.weights import bias_values, check_weighted, emit_weighted, requantization


@dataclass(frozen=True, slots=True)
class Conv2DAttrs:
    """Options of CONV_2D."""

    padding: Padding
    stride_h: int
    stride_w: int
    dilation_h: int
    dilation_w: int
    activation: Activation


def _axes(graph: Graph, node: Node) -> tuple[Axis, Axis]:
    attrs = attrs_of(node, Conv2DAttrs)
    _, h, w, _ = graph.input_tensor(node, 0).shape
    _, kh, kw, _ = graph.input_tensor(node, 1).shape
    return (
        window_axis(node, h, kernel=kh, stride=attrs.stride_h, dilation=attrs.dilation_h, padding=attrs.padding),
        window_axis(node, w, kernel=kw, stride=attrs.stride_w, dilation=attrs.dilation_w, padding=attrs.padding),
    )


class Conv2D(Op):
    """Input ``[1, h, w, c_in]``, weights ``[c_out, kh, kw, c_in / groups]``, bias ``[c_out]`` or none."""

    name = "CONV_2D"
    input_count = (2, 3)
    rounding = "double rounding of the int32 sum, per channel"

    def read_attrs(self, options: Table | None) -> Conv2DAttrs:
        if options is None:
            return Conv2DAttrs(Padding.SAME, 0, 0, 1, 1, Activation.NONE)
        return Conv2DAttrs(
            padding=read_padding(options.u8(0), options.what),
            stride_w=options.i32(1),
            stride_h=options.i32(2),
            activation=read_activation(options.u8(3), options.what),
            dilation_w=options.i32(4, 1),
            dilation_h=options.i32(5, 1),
        )

    def check(self, graph: Graph, node: Node) -> None:
        source, weights = graph.input_tensor(node, 0), graph.input_tensor(node, 1)
        if len(source.shape) != 4 or source.shape[0] != 1 or len(weights.shape) != 4:
            raise ShapeError(f"{node.label}: input {list(source.shape)} must be [1, h, w, c] and weights {list(weights.shape)} of rank 4")
        channels_in, depth, channels_out = source.shape[3], weights.shape[3], weights.shape[0]
        if depth < 1 or channels_in % depth or channels_out % (channels_in // depth):
            raise ShapeError(f"{node.label}: {channels_in} input channels, {depth} per filter and {channels_out} filters form no groups")
        rows, columns = _axes(graph, node)
        require_shape(node, "output", graph.output_tensor(node), (1, rows.output, columns.output, channels_out))
        check_weighted(graph, node, channel_axis=0)

    def macs(self, graph: Graph, node: Node) -> int:
        return graph.output_tensor(node).elements * graph.input_tensor(node, 1).elements // graph.input_tensor(node, 1).shape[0]

    def reference(self, graph: Graph, node: Node, inputs: list[Array | None]) -> Array:
        source, weights, output = graph.input_tensor(node, 0), graph.input_tensor(node, 1), graph.output_tensor(node)
        rows, columns = _axes(graph, node)
        x = inputs[0]
        assert x is not None
        # Products of int8 and sums of them are exact in float64, which has the fast matrix product.
        padded = pad_for_windows(x[0].astype(np.float64) - source.zero_point, rows, columns)
        filters = data_of(weights).astype(np.float64)
        channels_out, kh, kw, depth = filters.shape
        groups = source.shape[3] // depth
        per_group = channels_out // groups
        acc = np.zeros((rows.output, columns.output, channels_out))
        for ky in range(kh):
            for kx in range(kw):
                y0, x0 = ky * rows.dilation, kx * columns.dilation
                window = padded[
                    y0 : y0 + (rows.output - 1) * rows.stride + 1 : rows.stride,
                    x0 : x0 + (columns.output - 1) * columns.stride + 1 : columns.stride,
                ]
                for g in range(groups):
                    out = slice(g * per_group, (g + 1) * per_group)
                    acc[:, :, out] += window[:, :, g * depth : (g + 1) * depth] @ filters[out, ky, kx, :].T
        low, high = activation_range(attrs_of(node, Conv2DAttrs).activation, output)
        sums = acc.astype(np.int64) + bias_values(graph, node, channels_out)
        return requantization(graph, node).apply(sums, output.zero_point, low, high)[None]

    def emit(self, graph: Graph, node: Node, printer: CallPrinter) -> None:
        source, weights, output = graph.input_tensor(node, 0), graph.input_tensor(node, 1), graph.output_tensor(node)
        rows, columns = _axes(graph, node)
        low, high = activation_range(attrs_of(node, Conv2DAttrs).activation, output)
        params = printer.params(
            "tyf_conv2d_s8_params",
            {
                **window_fields(rows, columns),
                "input_c": source.shape[3],
                "filter_c": weights.shape[3],
                "output_c": weights.shape[0],
                "input_offset": -source.zero_point,
                "output_offset": output.zero_point,
                "activation_min": low,
                "activation_max": high,
            },
        )
        emit_weighted(graph, node, printer, kernel="tyf_conv2d_s8", params=params, channel_axis=0)
