"""CONV_2D: int8, per-channel or per-tensor weights, grouped and dilated."""

from __future__ import annotations

import numpy as np

from tinyfleet_codegen import dsp
from tinyfleet_codegen.convolution import (
    ConvolutionAttrs,
    convolution_axes,
    read_convolution_attrs,
    requantize_sums,
    shifted_inputs,
)
from tinyfleet_codegen.errors import ShapeError
from tinyfleet_codegen.geometry import activation_range, window_fields
from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.op import Array, CallPrinter, Op, attrs_of, data_of, require_shape
from tinyfleet_codegen.tflite.flatbuffer import Table
from tinyfleet_codegen.weights import check_weighted, emit_weighted


class Conv2D(Op):
    """Input `[1, h, w, c_in]`, weights `[c_out, kh, kw, c_in / groups]`, bias `[c_out]` or none."""

    name = "CONV_2D"
    input_count = (2, 3)
    rounding = "double rounding of the int32 sum, per channel"

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

    def emit(self, graph: Graph, node: Node, printer: CallPrinter) -> None:
        source, weights, output = graph.input_tensor(node, 0), graph.input_tensor(node, 1), graph.output_tensor(node)
        low, high = activation_range(attrs_of(node, ConvolutionAttrs).activation, output)
        params = printer.params(
            "tyf_conv2d_s8_params",
            {
                **window_fields(*convolution_axes(graph, node)),
                "input_c": source.shape[3],
                "filter_c": weights.shape[3],
                "output_c": weights.shape[0],
                "input_offset": -source.zero_point,
                "output_offset": output.zero_point,
                "activation_min": low,
                "activation_max": high,
            },
        )
        if _uses_dsp(graph, node, printer.cpu_class):
            packed = dsp.pack_rows(data_of(weights).reshape(weights.shape[0], -1), together=2)
            dsp.emit_packed(
                graph,
                node,
                printer,
                kernel="tyf_conv2d_s8_dsp",
                params=params,
                packed=packed,
                table=dsp.channel_table(graph, node, 0, together=2),
            )
        else:
            emit_weighted(graph, node, printer, kernel="tyf_conv2d_s8", params=params, channel_axis=0)

    def scratch_bytes(self, graph: Graph, node: Node, cpu_class: str) -> int:
        if not _uses_dsp(graph, node, cpu_class):
            return 0
        weights = graph.input_tensor(node, 1)
        return dsp_scratch_bytes(weights.elements // weights.shape[0])


def dsp_scratch_bytes(depth: int) -> int:
    """TYF_CONV2D_DSP_SCRATCH_BYTES of kernels.h."""
    return 20 * ((depth + 3) // 4)


def _uses_dsp(graph: Graph, node: Node, cpu_class: str) -> bool:
    attrs = attrs_of(node, ConvolutionAttrs)
    is_plain = (attrs.dilation_h, attrs.dilation_w) == (1, 1) and graph.input_tensor(node, 0).shape[3] == graph.input_tensor(node, 1).shape[
        3
    ]
    return cpu_class == dsp.CPU_CLASS and is_plain and dsp.fits(graph, node, channel_axis=0)
