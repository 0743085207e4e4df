"""What CONV_2D and DEPTHWISE_CONV_2D share: options, geometry, the windows of the reference."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tinyfleet_codegen.geometry import (
    Activation,
    Axis,
    Float64Array,
    Padding,
    activation_range,
    pad_for_windows,
    read_activation,
    read_padding,
    window_axis,
)
from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.op import Array, attrs_of
from tinyfleet_codegen.tflite.flatbuffer import Table
from tinyfleet_codegen.weights import bias_values, requantization


@dataclass(frozen=True, slots=True)
class ConvolutionAttrs:
    """Options of a convolution. A depth multiplier follows from the shapes.

    Attributes:
        rows: Geometry along rows where it does not follow from the shapes: some rows of a larger image.
    """

    padding: Padding
    stride_h: int
    stride_w: int
    dilation_h: int
    dilation_w: int
    activation: Activation
    rows: Axis | None = None


def read_convolution_attrs(options: Table | None, *, activation_field: int) -> ConvolutionAttrs:
    """Read Conv2DOptions or DepthwiseConv2DOptions: from ``activation_field`` on they hold the same."""
    if options is None:
        return ConvolutionAttrs(Padding.SAME, 0, 0, 1, 1, Activation.NONE)
    return ConvolutionAttrs(
        padding=read_padding(options.u8(0), options.what),
        stride_w=options.i32(1),
        stride_h=options.i32(2),
        activation=read_activation(options.u8(activation_field), options.what),
        dilation_w=options.i32(activation_field + 1, 1),
        dilation_h=options.i32(activation_field + 2, 1),
    )


def convolution_axes(graph: Graph, node: Node) -> tuple[Axis, Axis]:
    """Geometry along rows and columns."""
    attrs = attrs_of(node, ConvolutionAttrs)
    _, h, w, _ = graph.input_tensor(node, 0).shape
    _, kh, kw, _ = graph.input_tensor(node, 1).shape
    return (
        attrs.rows or window_axis(node, h, kernel=kh, stride=attrs.stride_h, dilation=attrs.dilation_h, padding=attrs.padding),
        window_axis(node, w, kernel=kw, stride=attrs.stride_w, dilation=attrs.dilation_w, padding=attrs.padding),
    )


def shifted_inputs(graph: Graph, node: Node, x: Array | None) -> Iterator[tuple[int, int, Float64Array]]:
    """For each kernel position: its row, its column and the input values ``[oh, ow, c]`` that it meets, zero point removed.

    float64, because sums of products of int8 are exact in it and it has the fast matrix product.
    """
    assert x is not None
    rows, columns = convolution_axes(graph, node)
    padded = pad_for_windows(x[0].astype(np.float64) - graph.input_tensor(node, 0).zero_point, rows, columns)
    for ky in range(rows.kernel):
        for kx in range(columns.kernel):
            y0, x0 = ky * rows.dilation, kx * columns.dilation
            yield (
                ky,
                kx,
                padded[
                    y0 : y0 + (rows.output - 1) * rows.stride + 1 : rows.stride,
                    x0 : x0 + (columns.output - 1) * columns.stride + 1 : columns.stride,
                ],
            )


def requantization_fields(graph: Graph, node: Node) -> dict[str, int]:
    """The fields with which the parameters of both convolutions end."""
    output = graph.output_tensor(node)
    low, high = activation_range(attrs_of(node, ConvolutionAttrs).activation, output)
    return {
        "input_offset": -graph.input_tensor(node, 0).zero_point,
        "output_offset": output.zero_point,
        "activation_min": low,
        "activation_max": high,
    }


def requantize_sums(graph: Graph, node: Node, sums: Float64Array) -> Array:
    """Sums ``[oh, ow, c]`` plus bias to the output ``[1, oh, ow, c]``."""
    output = graph.output_tensor(node)
    low, high = activation_range(attrs_of(node, ConvolutionAttrs).activation, output)
    biased = sums.astype(np.int64) + bias_values(graph, node, sums.shape[-1])
    return requantization(graph, node).apply(biased, output.zero_point, low, high)[None]
