"""UNPACK: every slice along an axis as an output of its own."""

from __future__ import annotations

import numpy as np

from tinyfleet_codegen.errors import ShapeError
from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.movement import Copy, MoveOp, box_copy, positive_axis
from tinyfleet_codegen.op import Array, attrs_of, require_shape
from tinyfleet_codegen.ops.pack import PackAttrs, read_pack_attrs
from tinyfleet_codegen.tflite.flatbuffer import Table


class Unpack(MoveOp):
    """Input of any shape, as many outputs as its axis is long; those that nobody reads cost nothing."""

    name = "UNPACK"
    input_count = (1, 1)
    output_count = (1, 64)

    def read_attrs(self, options: Table | None) -> PackAttrs:
        return read_pack_attrs(options)

    def check(self, graph: Graph, node: Node) -> None:
        shape = graph.input_tensor(node, 0).shape
        axis = positive_axis(node, attrs_of(node, PackAttrs).axis, len(shape))
        if shape[axis] != node.parts:
            raise ShapeError(f"{node.label}: axis {axis} of {list(shape)} does not become {node.parts} outputs")
        require_shape(node, "output", graph.output_tensor(node), (*shape[:axis], *shape[axis + 1 :]))
        self.check_copies(graph, node)

    def copies(self, graph: Graph, node: Node) -> list[Copy]:
        shape = graph.input_tensor(node, 0).shape
        axis = attrs_of(node, PackAttrs).axis % len(shape)
        begin = tuple(node.part if a == axis else 0 for a in range(len(shape)))
        sizes = tuple(1 if a == axis else d for a, d in enumerate(shape))
        return [box_copy(graph, node, 0, begin=begin, steps=(1,) * len(shape), sizes=sizes)]

    def reference(self, graph: Graph, node: Node, inputs: list[Array | None]) -> Array:
        x = inputs[0]
        assert x is not None
        return np.asarray(np.take(x, node.part, axis=attrs_of(node, PackAttrs).axis))
