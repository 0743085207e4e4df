"""RESIZE_NEAREST_NEIGHBOR: each pixel is a copy of one of the input."""

from __future__ import annotations

import numpy as np

from tinyfleet_codegen.gathering import GatherOp
from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.op import Array, attrs_of
from tinyfleet_codegen.quant import Int64Array, round_floats_half_away
from tinyfleet_codegen.resizing import ResizeAttrs, check_resize
from tinyfleet_codegen.tflite.flatbuffer import Table


def _nearest(size: int, wanted: int, attrs: ResizeAttrs) -> Int64Array:
    """Index along one axis of the input, for each of the output; in float32, like the oracle."""
    scale = np.float32(size - 1) / np.float32(wanted - 1) if attrs.align_corners and wanted > 1 else np.float32(size) / np.float32(wanted)
    place = (np.arange(wanted, dtype=np.float32) + np.float32(0.5 if attrs.half_pixel_centers else 0.0)) * scale
    index = round_floats_half_away(place) if attrs.align_corners else np.floor(place)
    return np.clip(index.astype(np.int64), 0, size - 1)


class ResizeNearestNeighbor(GatherOp):
    """Input `[1, h, w, c]`, constant size, output of the same scale and type; aligned corners or half-pixel centers or neither."""

    name = "RESIZE_NEAREST_NEIGHBOR"
    has_int16 = True
    input_count = (2, 2)

    def read_attrs(self, options: Table | None) -> ResizeAttrs:
        return ResizeAttrs(False, False) if options is None else ResizeAttrs(bool(options.u8(0)), bool(options.u8(1)))

    def check(self, graph: Graph, node: Node) -> None:
        check_resize(graph, node)

    def _indices(self, graph: Graph, node: Node) -> tuple[Int64Array, Int64Array]:
        (_, h, w, _), (_, oh, ow, _) = graph.input_tensor(node, 0).shape, graph.output_tensor(node).shape
        attrs = attrs_of(node, ResizeAttrs)
        return _nearest(h, oh, attrs), _nearest(w, ow, attrs)

    def tables(self, graph: Graph, node: Node) -> tuple[Int64Array, Int64Array, int]:
        _, _, w, c = graph.input_tensor(node, 0).shape
        rows, columns = self._indices(graph, node)
        return rows * w * c, columns * c, c

    def reference(self, graph: Graph, node: Node, inputs: list[Array | None]) -> Array:
        x = inputs[0]
        assert x is not None
        rows, columns = self._indices(graph, node)
        return x[:, rows][:, :, columns]
