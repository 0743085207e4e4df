"""GATHER: slices at constant indices along an axis."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tinyfleet_codegen.errors import ShapeError, UnsupportedOp
from tinyfleet_codegen.gathering import GatherOp
from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.movement import constant_ints, positive_axis
from tinyfleet_codegen.op import Array, attrs_of, data_of, require_same_quant, require_shape
from tinyfleet_codegen.quant import Int64Array
from tinyfleet_codegen.tflite.flatbuffer import Table
from tinyfleet_codegen.wire.ids import DType


@dataclass(frozen=True, slots=True)
class GatherAttrs:
    """Options of GATHER."""

    axis: int


class Gather(GatherOp):
    """Input of any shape, constant indices of rank <= 1, output of the same scale and type."""

    name = "GATHER"
    input_count = (2, 2)

    def read_attrs(self, options: Table | None) -> GatherAttrs:
        if options is not None and options.i32(1):
            raise UnsupportedOp(f"{options.what}: batch dimensions {options.i32(1)} are not supported")
        return GatherAttrs(0 if options is None else options.i32(0))

    def check(self, graph: Graph, node: Node) -> None:
        source, indices, output = graph.input_tensor(node, 0), graph.input_tensor(node, 1), graph.output_tensor(node)
        axis = positive_axis(node, attrs_of(node, GatherAttrs).axis, len(source.shape))
        values = constant_ints(graph, node, 1, "indices")
        if len(indices.shape) > 1 or not values or any(not 0 <= v < source.shape[axis] for v in values):
            raise ShapeError(f"{node.label}: indices {list(values)[:8]} must be some of 0..{source.shape[axis] - 1} in one dimension")
        require_shape(node, "output", output, (*source.shape[:axis], *indices.shape, *source.shape[axis + 1 :]))
        require_same_quant(node, source, output)
        if source.dtype is DType.INT16:
            raise UnsupportedOp(f"{node.label}: TensorFlow Lite Micro has no kernel for int16, as '{source.name}' is")
        if output.elements == 0:
            raise ShapeError(f"{node.label}: output {list(output.shape)} has no elements")

    def tables(self, graph: Graph, node: Node) -> tuple[Int64Array, Int64Array, int]:
        shape = graph.input_tensor(node, 0).shape
        axis = attrs_of(node, GatherAttrs).axis % len(shape)
        run = math.prod(shape[axis + 1 :])
        indices = data_of(graph.input_tensor(node, 1)).astype(np.int64).reshape(-1)
        return np.arange(math.prod(shape[:axis])) * shape[axis] * run, indices * run, run

    def reference(self, graph: Graph, node: Node, inputs: list[Array | None]) -> Array:
        x, indices = inputs
        assert x is not None and indices is not None
        return np.asarray(np.take(x, indices.astype(np.int64), axis=attrs_of(node, GatherAttrs).axis))
