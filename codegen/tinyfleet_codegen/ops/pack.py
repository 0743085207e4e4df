"""PACK: inputs one behind the other along a new axis."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinyfleet_codegen.errors import ShapeError
from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.movement import Copy, MoveOp, positive_axis, strides_of
from tinyfleet_codegen.op import Array, attrs_of, require_shape
from tinyfleet_codegen.tflite.flatbuffer import Table


@dataclass(frozen=True, slots=True)
class PackAttrs:
    """Options of PACK and UNPACK."""

    axis: int


def read_pack_attrs(options: Table | None) -> PackAttrs:
    """PackOptions and UnpackOptions: a count, which the inputs or outputs have, and the axis."""
    return PackAttrs(0 if options is None else options.i32(1))


class Pack(MoveOp):
    """One to 64 inputs of one shape, scale and zero point; some may be constants."""

    name = "PACK"
    input_count = (1, 64)

    def read_attrs(self, options: Table | None) -> PackAttrs:
        return read_pack_attrs(options)

    def check(self, graph: Graph, node: Node) -> None:
        if any(i is None for i in node.inputs):
            raise ShapeError(f"{node.label}: an input is absent")
        shapes = [graph.input_tensor(node, i).shape for i in range(len(node.inputs))]
        if len(set(shapes)) != 1:
            raise ShapeError(f"{node.label}: inputs have different shapes {[list(s) for s in shapes]}")
        axis = positive_axis(node, attrs_of(node, PackAttrs).axis, len(shapes[0]) + 1)
        require_shape(node, "output", graph.output_tensor(node), (*shapes[0][:axis], len(shapes), *shapes[0][axis:]))
        self.check_copies(graph, node)

    def copies(self, graph: Graph, node: Node) -> list[Copy]:
        output = graph.output_tensor(node)
        axis = attrs_of(node, PackAttrs).axis % len(output.shape)
        strides = strides_of(output.shape)
        shape = graph.input_tensor(node, 0).shape
        others = (*strides[:axis], *strides[axis + 1 :])
        return [Copy(i, shape, strides_of(shape), others, output_start=i * strides[axis]) for i in range(len(node.inputs))]

    def reference(self, graph: Graph, node: Node, inputs: list[Array | None]) -> Array:
        return np.stack([x for x in inputs if x is not None], axis=attrs_of(node, PackAttrs).axis)
