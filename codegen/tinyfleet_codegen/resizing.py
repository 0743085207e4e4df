"""What RESIZE_NEAREST_NEIGHBOR and RESIZE_BILINEAR share: options and sizes."""

from __future__ import annotations

from dataclasses import dataclass

from tinyfleet_codegen.errors import ShapeError, UnsupportedOp
from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.movement import constant_ints
from tinyfleet_codegen.op import require_same_quant, require_shape

MAX_SIZE = 16384


@dataclass(frozen=True, slots=True)
class ResizeAttrs:
    """Options of a resize."""

    align_corners: bool
    half_pixel_centers: bool


def check_resize(graph: Graph, node: Node) -> None:
    """Check shapes and options of a node with (input, constant size)."""
    source, output = graph.input_tensor(node, 0), graph.output_tensor(node)
    if len(source.shape) != 4 or source.shape[0] != 1 or source.elements == 0 or max(source.shape) > MAX_SIZE:
        raise ShapeError(f"{node.label}: input {list(source.shape)} must be [1, h, w, c] of at most {MAX_SIZE} each")
    size = constant_ints(graph, node, 1, "size", 2)
    if any(not 1 <= d <= MAX_SIZE for d in size):
        raise ShapeError(f"{node.label}: size {list(size)} must be in 1..{MAX_SIZE}")
    require_shape(node, "output", output, (1, *size, source.shape[3]))
    require_same_quant(node, source, output)
    assert isinstance(node.attrs, ResizeAttrs)
    if node.attrs.align_corners and node.attrs.half_pixel_centers:
        raise UnsupportedOp(f"{node.label}: align_corners and half_pixel_centers exclude each other")
