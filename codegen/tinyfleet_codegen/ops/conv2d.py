"""CONV_2D: int8 or int16 with int8 weights, per-channel or per-tensor weights, grouped and dilated."""

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


class Conv2D(Op):
    """Input `[1, h, w, c_in]`, weights `[c_out, kh, kw, c_in / groups]`, bias `[c_out]` or none."""

    name = "CONV_2D"
    has_int16 = True
    input_count = (2, 3)
    rounding = (
        "double rounding of the int32 sum, per channel; of int64 sums (int16 without an int32 bias) one rounding with a 15-bit multiplier"
    )

    def read_attrs(self, options: Table | None) -> ConvolutionAttrs:
        return read_convolution_attrs(options, activation_field=3)

    def check(self, graph: Graph, node: Node) -> None:
        source, weights = graph.input_tensor(node, 0), graph.input_tensor(node, 1)
        if len(source.shape) != 4 or source.shape[0] != 1 or len(weights.shape) != 4:
            raise ShapeError(f"{node.label}: input {list(source.shape)} must be [1, h, w, c] and weights {list(weights.shape)} of rank 4")
        channels_in, depth, channels_out = source.shape[3], weights.shape[3], weights.shape[0]
        if depth < 1 or channels_in < 1 or channels_in % depth or channels_out % (channels_in // depth):
            raise ShapeError(f"{node.label}: {channels_in} input channels, {depth} per filter and {channels_out} filters form no groups")
        rows, columns = convolution_axes(graph, node)
        require_shape(node, "output", graph.output_tensor(node), (1, rows.output, columns.output, channels_out))
        check_weighted(graph, node, channel_axis=0)

    def macs(self, graph: Graph, node: Node) -> int:
        weights = graph.input_tensor(node, 1)
        return graph.output_tensor(node).elements * weights.elements // weights.shape[0]

    def reference(self, graph: Graph, node: Node, inputs: list[Array | None]) -> Array:
        filters = data_of(graph.input_tensor(node, 1)).astype(np.float64)
        channels_out, _, _, depth = filters.shape
        groups = graph.input_tensor(node, 0).shape[3] // depth
        per_group = channels_out // groups
        sums = np.zeros(graph.output_tensor(node).shape[1:])
        for ky, kx, values in shifted_inputs(graph, node, inputs[0]):
            for g in range(groups):
                out = slice(g * per_group, (g + 1) * per_group)
                sums[:, :, out] += values[:, :, g * depth : (g + 1) * depth] @ filters[out, ky, kx, :].T
        return requantize_sums(graph, node, sums)

    def output_overlap(self, graph: Graph, node: Node, position: int) -> Overlap:
        source, output = graph.input_tensor(node, 0), graph.output_tensor(node)
        size, channels_out = output.element_bytes, output.shape[3]
        # Each filter reads the whole window again.
        return window_overlap(
            *convolution_axes(graph, node), source.shape[3] * size, channels_out * size, held_bytes=(channels_out - 1) * size
        )

    def emit(self, graph: Graph, node: Node, printer: CallPrinter) -> None:
        params = printer.params("tyf_conv2d_s8_params", conv2d_params(graph, node))
        emit_weighted(graph, node, printer, kernel="tyf_conv2d", params=params, channel_axis=0)


def conv2d_params(graph: Graph, node: Node) -> dict[str, int]:
    """Fields of ``tyf_conv2d_s8_params``."""
    weights = graph.input_tensor(node, 1)
    return {
        **window_fields(*convolution_axes(graph, node)),
        "input_c": graph.input_tensor(node, 0).shape[3],
        "filter_c": weights.shape[3],
        "output_c": weights.shape[0],
        **requantization_fields(graph, node),
    }
