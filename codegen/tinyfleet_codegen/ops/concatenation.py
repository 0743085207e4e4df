"""CONCATENATION: inputs one behind the other along an axis."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinyfleet_codegen.errors import ShapeError, UnsupportedOp
from tinyfleet_codegen.geometry import Activation, read_activation
from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.movement import Copy, MoveOp, positive_axis, strides_of
from tinyfleet_codegen.op import Array, attrs_of, require_activations, require_shape
from tinyfleet_codegen.tflite.flatbuffer import Table
from tinyfleet_codegen.wire.ids import DType


@dataclass(frozen=True, slots=True)
class ConcatenationAttrs:
    """Options of CONCATENATION."""

    axis: int
    activation: Activation


class Concatenation(MoveOp):
    """One to ten inputs of rank <= 4 and equal but for one axis, of one scale and zero point; some may be constants."""

    name = "CONCATENATION"
    input_count = (1, 10)

    def read_attrs(self, options: Table | None) -> ConcatenationAttrs:
        if options is None:
            return ConcatenationAttrs(0, Activation.NONE)
        return ConcatenationAttrs(options.i32(0), read_activation(options.u8(1), options.what))

    def check(self, graph: Graph, node: Node) -> None:
        attrs = attrs_of(node, ConcatenationAttrs)
        if attrs.activation is not Activation.NONE:
            raise UnsupportedOp(f"{node.label}: fused activation {attrs.activation.name} is not supported")
        if any(i is None for i in node.inputs):
            raise ShapeError(f"{node.label}: an input is absent")
        shapes = [graph.input_tensor(node, i).shape for i in range(len(node.inputs))]
        axis = positive_axis(node, attrs.axis, len(shapes[0]))
        rests = {(*s[:axis], *s[axis + 1 :]) for s in shapes}
        if len(rests) != 1 or len({len(s) for s in shapes}) != 1 or len(shapes[0]) > 4:
            raise ShapeError(f"{node.label}: inputs {[list(s) for s in shapes]} do not fit together along axis {axis}, rank at most 4")
        total = sum(s[axis] for s in shapes)
        require_shape(node, "output", graph.output_tensor(node), (*shapes[0][:axis], total, *shapes[0][axis + 1 :]))
        if graph.output_tensor(node).dtype is DType.INT16:
            require_activations(node, ("output", graph.output_tensor(node)))
        self.check_copies(graph, node)

    def copies(self, graph: Graph, node: Node) -> list[Copy]:
        output = graph.output_tensor(node)
        strides = strides_of(output.shape)
        axis = attrs_of(node, ConcatenationAttrs).axis % len(output.shape)
        copies, position = [], 0
        for i in range(len(node.inputs)):
            shape = graph.input_tensor(node, i).shape
            copies.append(Copy(i, shape, strides_of(shape), strides, output_start=position * strides[axis]))
            position += shape[axis]
        return copies

    def reference(self, graph: Graph, node: Node, inputs: list[Array | None]) -> Array:
        return np.concatenate([x for x in inputs if x is not None], axis=attrs_of(node, ConcatenationAttrs).axis)
