"""DEPTHWISE_CONV_2D: int8 or int16 with int8 weights, per-channel or per-tensor weights, any multiplier, dilated."""

from __future__ import annotations

import numpy as np

from tinyfleet_codegen.convolution import (
    ConvolutionAttrs,
    convolution_axes,
    read_convolution_attrs,
    requantization_fields,
    requantize_sums,
    shifted_inputs,
)
from tinyfleet_codegen.errors import ShapeError
from tinyfleet_codegen.geometry import window_fields
from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.op import Array, CallPrinter, Op, data_of, require_shape
from tinyfleet_codegen.overlap import Overlap, window_overlap
from tinyfleet_codegen.tflite.flatbuffer import Table
from tinyfleet_codegen.weights import check_weighted, emit_weighted


class DepthwiseConv2D(Op):
    """Input `[1, h, w, c_in]`, weights `[1, kh, kw, c_in * multiplier]`, bias `[c_in * multiplier]` or none."""

    name = "DEPTHWISE_CONV_2D"
    has_int16 = True
    input_count = (2, 3)
    rounding = "double rounding of the int32 sum, per channel; int16: one rounding of the int64 sum with a 15-bit multiplier"

    def read_attrs(self, options: Table | None) -> ConvolutionAttrs:
        return read_convolution_attrs(options, activation_field=4)

    def check(self, graph: Graph, node: Node) -> None:
        source, weights = graph.input_tensor(node, 0), graph.input_tensor(node, 1)
        if len(source.shape) != 4 or source.shape[0] != 1 or len(weights.shape) != 4 or weights.shape[0] != 1:
            raise ShapeError(
                f"{node.label}: input {list(source.shape)} must be [1, h, w, c] and weights {list(weights.shape)} [1, kh, kw, c]"
            )
        if source.shape[3] < 1 or weights.shape[3] < 1 or weights.shape[3] % source.shape[3]:
            raise ShapeError(f"{node.label}: {weights.shape[3]} filters are no multiple of {source.shape[3]} input channels")
        rows, columns = convolution_axes(graph, node)
        require_shape(node, "output", graph.output_tensor(node), (1, rows.output, columns.output, weights.shape[3]))
        check_weighted(graph, node, channel_axis=3)

    def macs(self, graph: Graph, node: Node) -> int:
        _, kh, kw, _ = graph.input_tensor(node, 1).shape
        return graph.output_tensor(node).elements * kh * kw

    def reference(self, graph: Graph, node: Node, inputs: list[Array | None]) -> Array:
        filters = data_of(graph.input_tensor(node, 1)).astype(np.float64)[0]
        multiplier = filters.shape[2] // graph.input_tensor(node, 0).shape[3]
        sums = np.zeros(graph.output_tensor(node).shape[1:])
        for ky, kx, values in shifted_inputs(graph, node, inputs[0]):
            sums += np.repeat(values, multiplier, axis=2) * filters[ky, kx]
        return requantize_sums(graph, node, sums)

    def output_overlap(self, graph: Graph, node: Node, position: int) -> Overlap:
        source, output = graph.input_tensor(node, 0), graph.output_tensor(node)
        size, channels_in, channels_out = output.element_bytes, source.shape[3], output.shape[3]
        held, passed = (channels_out - 1) * size, (channels_in - 1) * size
        return window_overlap(*convolution_axes(graph, node), channels_in * size, channels_out * size, held_bytes=held, passed_bytes=passed)

    def emit(self, graph: Graph, node: Node, printer: CallPrinter) -> None:
        params = printer.params("tyf_depthwise_conv2d_s8_params", depthwise_conv2d_params(graph, node))
        emit_weighted(graph, node, printer, kernel="tyf_depthwise_conv2d", params=params, channel_axis=3)


def depthwise_conv2d_params(graph: Graph, node: Node) -> dict[str, int]:
    """Fields of ``tyf_depthwise_conv2d_s8_params``."""
    channels = graph.input_tensor(node, 0).shape[3]
    return {
        **window_fields(*convolution_axes(graph, node)),
        "input_c": channels,
        "depth_multiplier": graph.input_tensor(node, 1).shape[3] // channels,
        **requantization_fields(graph, node),
    }
