"""RESIZE_BILINEAR: int8, weights in 1/1024."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tinyfleet_codegen.errors import ShapeError
from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.op import Array, CallPrinter, Op, attrs_of, require_dtype, require_per_tensor_quant
from tinyfleet_codegen.quant import Int64Array
from tinyfleet_codegen.resizing import ResizeAttrs, check_resize
from tinyfleet_codegen.tflite.flatbuffer import Table
from tinyfleet_codegen.wire.ids import DType

ONE = 1 << 10


class _Axis(NamedTuple):
    """Output pixel ``o`` lies at ``o * scale + offset``, in 1/1024 of an input pixel."""

    scale: int
    offset: int


def _axis(size: int, wanted: int, attrs: ResizeAttrs) -> _Axis:
    corners = attrs.align_corners and wanted > 1
    size, wanted = (size - 1, wanted - 1) if corners else (size, wanted)
    scale = (ONE * size + wanted // 2) // wanted
    return _Axis(scale, scale // 2 - ONE // 2 if attrs.half_pixel_centers else 0)


def _neighbours(axis: _Axis, size: int, wanted: int) -> tuple[Int64Array, Int64Array, Int64Array]:
    """The pixel before, the one behind, and how far on the way from the first to the second, for each output pixel."""
    place = np.arange(wanted) * axis.scale + axis.offset
    # Divisions of the oracle truncate; only the first place may be negative, and then both neighbours are pixel 0.
    before = np.maximum(place, 0) // ONE
    behind = np.minimum(np.maximum(place + ONE - 1, 0) // ONE, size - 1)
    return before, behind, place - before * ONE


class ResizeBilinear(Op):
    """Input `[1, h, w, c]`, constant size, output of the same scale; aligned corners or half-pixel centers or neither."""

    name = "RESIZE_BILINEAR"
    input_count = (2, 2)
    rounding = "places and weights in 1/1024; the sum rounds to nearest, ties away from zero"

    def read_attrs(self, options: Table | None) -> ResizeAttrs:
        return ResizeAttrs(False, False) if options is None else ResizeAttrs(bool(options.u8(2)), bool(options.u8(3)))

    def _axes(self, graph: Graph, node: Node) -> tuple[_Axis, _Axis]:
        (_, h, w, _), (_, oh, ow, _) = graph.input_tensor(node, 0).shape, graph.output_tensor(node).shape
        attrs = attrs_of(node, ResizeAttrs)
        return _axis(h, oh, attrs), _axis(w, ow, attrs)

    def check(self, graph: Graph, node: Node) -> None:
        source, output = graph.input_tensor(node, 0), graph.output_tensor(node)
        for what, tensor in (("input", source), ("output", output)):
            require_dtype(node, what, tensor, DType.INT8)
            require_per_tensor_quant(node, what, tensor)
        check_resize(graph, node)
        for axis, size, wanted in zip(self._axes(graph, node), source.shape[1:3], output.shape[1:3], strict=True):
            # The rounded scale, added up, may leave the image.
            if (wanted - 1) * axis.scale + max(axis.offset, 0) >= size * ONE or axis.scale > 65535:
                raise ShapeError(f"{node.label}: {size} pixels cannot become {wanted} in steps of 1/1024 pixel")

    def reference(self, graph: Graph, node: Node, inputs: list[Array | None]) -> Array:
        source, output = graph.input_tensor(node, 0), graph.output_tensor(node)
        rows, columns = self._axes(graph, node)
        top, bottom, down = _neighbours(rows, source.shape[1], output.shape[1])
        left, right, along = _neighbours(columns, source.shape[2], output.shape[2])
        x = inputs[0]
        assert x is not None
        image = x[0].astype(np.int64)
        down, along = down[:, None, None], along[None, :, None]
        upper = image[top][:, left] * (ONE - along) + image[top][:, right] * along
        lower = image[bottom][:, left] * (ONE - along) + image[bottom][:, right] * along
        total = upper * (ONE - down) + lower * down
        rounded: Array = (np.sign(total) * ((np.abs(total) + (1 << 19)) >> 20)).astype(np.int8)
        return rounded[None]

    def emit(self, graph: Graph, node: Node, printer: CallPrinter) -> None:
        (_, h, w, c), (_, oh, ow, _) = graph.input_tensor(node, 0).shape, graph.output_tensor(node).shape
        rows, columns = self._axes(graph, node)
        fields = {"input_h": h, "input_w": w, "output_h": oh, "output_w": ow, "channels": c}
        fields |= {"scale_h": rows.scale, "scale_w": columns.scale, "start_h": rows.offset + ONE // 2, "start_w": columns.offset + ONE // 2}
        params = printer.params("tyf_resize_bilinear_s8_params", fields)
        printer.call("tyf_resize_bilinear_s8", params, printer.tensor(node.inputs[0]), printer.tensor(node.outputs[0]))
