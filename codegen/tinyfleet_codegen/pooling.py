"""What AVERAGE_POOL_2D and MAX_POOL_2D share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tinyfleet_codegen.errors import QuantError, ShapeError
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
from tinyfleet_codegen.op import Array, CallPrinter, attrs_of, require_activations, require_shape
from tinyfleet_codegen.overlap import Overlap, window_overlap
from tinyfleet_codegen.tflite.flatbuffer import Table


@dataclass(frozen=True, slots=True)
class Pool2DAttrs:
    """Options of a pool."""

    padding: Padding
    stride_h: int
    stride_w: int
    kernel_h: int
    kernel_w: int
    activation: Activation


def read_pool_attrs(options: Table | None) -> Pool2DAttrs:
    """Read Pool2DOptions."""
    if options is None:
        return Pool2DAttrs(Padding.SAME, 0, 0, 0, 0, Activation.NONE)
    return Pool2DAttrs(
        padding=read_padding(options.u8(0), options.what),
        stride_w=options.i32(1),
        stride_h=options.i32(2),
        kernel_w=options.i32(3),
        kernel_h=options.i32(4),
        activation=read_activation(options.u8(5), options.what),
    )


def pool_axes(graph: Graph, node: Node) -> tuple[Axis, Axis]:
    """Geometry along rows and columns."""
    attrs = attrs_of(node, Pool2DAttrs)
    _, h, w, _ = graph.input_tensor(node, 0).shape
    return (
        window_axis(node, h, kernel=attrs.kernel_h, stride=attrs.stride_h, dilation=1, padding=attrs.padding),
        window_axis(node, w, kernel=attrs.kernel_w, stride=attrs.stride_w, dilation=1, padding=attrs.padding),
    )


def check_pool(graph: Graph, node: Node) -> None:
    """Refuse other types than int8 and int16, other shapes than ``[1, h, w, c]`` and a change of scale."""
    source, output = graph.input_tensor(node, 0), graph.output_tensor(node)
    require_activations(node, ("input", source), ("output", output))
    if len(source.shape) != 4 or source.shape[0] != 1:
        raise ShapeError(f"{node.label}: input {list(source.shape)} must be [1, h, w, c]")
    if (source.scale, source.zero_point) != (output.scale, output.zero_point):
        raise QuantError(f"{node.label}: input and output must have one scale and zero point, the pool does not rescale")
    rows, columns = pool_axes(graph, node)
    require_shape(node, "output", output, (1, rows.output, columns.output, source.shape[3]))


def pool_windows(x: Array, rows: Axis, columns: Axis) -> Iterator[tuple[int, int, Array]]:
    """Each output position with its window ``[h, w, c]``, cut off at the border."""
    for oy in range(rows.output):
        y0 = oy * rows.stride - rows.pad
        for ox in range(columns.output):
            x0 = ox * columns.stride - columns.pad
            yield oy, ox, x[0, max(0, y0) : y0 + rows.kernel, max(0, x0) : x0 + columns.kernel].astype(np.int64)


def pool_overlap(graph: Graph, node: Node) -> Overlap:
    """How the output may lie over the input: each channel is read and written by itself."""
    source = graph.input_tensor(node, 0)
    pixel, last = source.shape[3] * source.element_bytes, (source.shape[3] - 1) * source.element_bytes
    return window_overlap(*pool_axes(graph, node), pixel, pixel, held_bytes=last, passed_bytes=last)


def emit_pool(graph: Graph, node: Node, printer: CallPrinter, kernel: str) -> None:
    """Print the parameters and the call."""
    rows, columns = pool_axes(graph, node)
    low, high = activation_range(attrs_of(node, Pool2DAttrs).activation, graph.output_tensor(node))
    params = printer.params(
        "tyf_pool2d_s8_params",
        {
            **window_fields(rows, columns),
            "channels": graph.input_tensor(node, 0).shape[3],
            "activation_min": low,
            "activation_max": high,
        },
    )
    printer.call(kernel, params, printer.tensor(node.inputs[0]), printer.tensor(node.outputs[0]))
