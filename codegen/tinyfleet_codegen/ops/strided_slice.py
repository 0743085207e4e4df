"""STRIDED_SLICE: every n-th element of a box, also backwards, axes of one element dropped on request."""

from __future__ import annotations

from dataclasses import dataclass

from tinyfleet_codegen.errors import ShapeError, UnsupportedOp
from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.movement import Copy, MoveOp, box_copy, constant_ints
from tinyfleet_codegen.op import Array, attrs_of, require_shape
from tinyfleet_codegen.tflite.flatbuffer import Table


@dataclass(frozen=True, slots=True)
class StridedSliceAttrs:
    """Options of STRIDED_SLICE: one bit an axis in each mask."""

    begin_mask: int
    end_mask: int
    shrink_axis_mask: int


class StridedSlice(MoveOp):
    """Input of rank <= 4, constant begin, end and strides; masks of begin, end and dropped axes."""

    name = "STRIDED_SLICE"
    input_count = (4, 4)

    def read_attrs(self, options: Table | None) -> StridedSliceAttrs:
        if options is None:
            return StridedSliceAttrs(0, 0, 0)
        if options.i32(2) or options.i32(3) or options.u8(5):
            raise UnsupportedOp(f"{options.what}: ellipsis mask, new-axis mask and offset are not supported")
        return StridedSliceAttrs(options.i32(0), options.i32(1), options.i32(4))

    def _ranges(self, graph: Graph, node: Node) -> tuple[range, ...]:
        """Indices along each axis of the input."""
        shape, attrs = graph.input_tensor(node, 0).shape, attrs_of(node, StridedSliceAttrs)
        begins, ends, steps = (constant_ints(graph, node, i + 1, what, len(shape)) for i, what in enumerate(("begin", "end", "strides")))
        ranges = []
        for axis, (size, begin, end, step) in enumerate(zip(shape, begins, ends, steps, strict=True)):
            bit = 1 << axis
            if step == 0:
                raise ShapeError(f"{node.label}: the stride of axis {axis} is 0")
            if attrs.shrink_axis_mask & bit:
                first = 0 if attrs.begin_mask & bit else begin + size if begin < 0 else begin
                if not 0 <= first < size:
                    raise ShapeError(f"{node.label}: element {begin} of axis {axis} of size {size}")
                ranges.append(range(first, first + 1))
                continue
            wanted = slice(None if attrs.begin_mask & bit else begin, None if attrs.end_mask & bit else end, step)
            ranges.append(range(*wanted.indices(size)))
        return tuple(ranges)

    def check(self, graph: Graph, node: Node) -> None:
        rank = len(graph.input_tensor(node, 0).shape)
        if rank > 4:
            raise ShapeError(f"{node.label}: rank {rank} is not supported, at most 4")
        dropped = attrs_of(node, StridedSliceAttrs).shrink_axis_mask
        left = tuple(len(r) for axis, r in enumerate(self._ranges(graph, node)) if not dropped & 1 << axis)
        require_shape(node, "output", graph.output_tensor(node), left)
        self.check_copies(graph, node)

    def copies(self, graph: Graph, node: Node) -> list[Copy]:
        ranges = self._ranges(graph, node)
        begin = tuple(r.start for r in ranges)
        steps, sizes = tuple(r.step for r in ranges), tuple(len(r) for r in ranges)
        return [box_copy(graph, node, 0, begin=begin, steps=steps, sizes=sizes)]

    def reference(self, graph: Graph, node: Node, inputs: list[Array | None]) -> Array:
        x = inputs[0]
        assert x is not None
        for axis, indices in enumerate(self._ranges(graph, node)):
            x = x.take(list(indices), axis=axis)
        return x.reshape(graph.output_tensor(node).shape)
