"""DEPTHWISE_CONV_2D: int8, per-channel or per-tensor weights, any multiplier, dilated."""

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
class DepthwiseConv2DAttrs:
    """Options of DEPTHWISE_CONV_2D; the multiplier follows from the shapes."""

    padding: Padding
    stride_h: int
    stride_w: int
    dilation_h: int
    dilation_w: int
    activation: Activation


def _axes(graph: Graph, node: Node) -> tuple[Axis, Axis]:
    attrs = attrs_of(node, DepthwiseConv2DAttrs)
    _, h, w, _ = graph.input_tensor(node, 0).shape
    _, kh, kw, _ = graph.input_tensor(node, 1).shape
    return (
        window_axis(node, h, kernel=kh, stride=attrs.stride_h, dilation=attrs.dilation_h, padding=attrs.padding),
        window_axis(node, w, kernel=kw, stride=attrs.stride_w, dilation=attrs.dilation_w, padding=attrs.padding),
    )


class DepthwiseConv2D(Op):
    """Input ``[1, h, w, c_in]``, weights ``[1, kh, kw, c_in * multiplier]``, bias ``[c_in * multiplier]`` or none."""

    name = "DEPTHWISE_CONV_2D"
    input_count = (2, 3)
    rounding = "double rounding of the int32 sum, per channel"

    def read_attrs(self, options: Table | None) -> DepthwiseConv2DAttrs:
        if options is None:
            return DepthwiseConv2DAttrs(Padding.SAME, 0, 0, 1, 1, Activation.NONE)
        return DepthwiseConv2DAttrs(
            padding=read_padding(options.u8(0), options.what),
            stride_w=options.i32(1),
            stride_h=options.i32(2),
            activation=read_activation(options.u8(4), options.what),
            dilation_w=options.i32(5, 1),
            dilation_h=options.i32(6, 1),
        )

    def check(self, graph: Graph, node: Node) -> None:
        source, weights = graph.input_tensor(node, 0), graph.input_tensor(node, 1)
        if len(source.shape) != 4 or source.shape[0] != 1 or len(weights.shape) != 4 or weights.shape[0] != 1:
            raise ShapeError(
                f"{node.label}: input {list(source.shape)} must be [1, h, w, c] and weights {list(weights.shape)} [1, kh, kw, c]"
            )
        if source.shape[3] < 1 or weights.shape[3] < 1 or weights.shape[3] % source.shape[3]:
            raise ShapeError(f"{node.label}: {weights.shape[3]} filters are no multiple of {source.shape[3]} input channels")
        rows, columns = _axes(graph, node)
        require_shape(node, "output", graph.output_tensor(node), (1, rows.output, columns.output, weights.shape[3]))
        check_weighted(graph, node, channel_axis=3)

    def macs(self, graph: Graph, node: Node) -> int:
        weights = graph.input_tensor(node, 1)
        return graph.output_tensor(node).elements * weights.shape[1] * weights.shape[2]

    def reference(self, graph: Graph, node: Node, inputs: list[Array | None]) -> Array:
        source, weights, output = graph.input_tensor(node, 0), graph.input_tensor(node, 1), graph.output_tensor(node)
        rows, columns = _axes(graph, node)
        x = inputs[0]
        assert x is not None
        channels = weights.shape[3]
        padded = pad_for_windows(x[0].astype(np.float64) - source.zero_point, rows, columns)
        padded = np.repeat(padded, channels // source.shape[3], axis=2)
        filters = data_of(weights).astype(np.float64)[0]
        acc = np.zeros((rows.output, columns.output, channels))
        for ky in range(rows.kernel):
            for kx in range(columns.kernel):
                y0, x0 = ky * rows.dilation, kx * columns.dilation
                window = padded[
                    y0 : y0 + (rows.output - 1) * rows.stride + 1 : rows.stride,
                    x0 : x0 + (columns.output - 1) * columns.stride + 1 : columns.stride,
                ]
                acc += window * filters[ky, kx]
        low, high = activation_range(attrs_of(node, DepthwiseConv2DAttrs).activation, output)
        sums = acc.astype(np.int64) + bias_values(graph, node, channels)
        return requantization(graph, node).apply(sums, output.zero_point, low, high)[None]

    def emit(self, graph: Graph, node: Node, printer: CallPrinter) -> None:
        source, weights, output = graph.input_tensor(node, 0), graph.input_tensor(node, 1), graph.output_tensor(node)
        rows, columns = _axes(graph, node)
        low, high = activation_range(attrs_of(node, DepthwiseConv2DAttrs).activation, output)
        params = printer.params(
            "tyf_depthwise_conv2d_s8_params",
            {
                **window_fields(rows, columns),
                "input_c": source.shape[3],
                "depth_multiplier": weights.shape[3] // source.shape[3],
                "input_offset": -source.zero_point,
                "output_offset": output.zero_point,
                "activation_min": low,
                "activation_max": high,
            },
        )
        emit_weighted(graph, node, printer, kernel="tyf_depthwise_conv2d_s8", params=params, channel_axis=3)
