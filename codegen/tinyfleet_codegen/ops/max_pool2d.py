"""MAX_POOL_2D: int8 or int16, padding never wins."""

from __future__ import annotations

import numpy as np

from tinyfleet_codegen.geometry import activation_range
from tinyfleet_codegen.ir import NUMPY_DTYPES, Graph, Node
from tinyfleet_codegen.op import Array, CallPrinter, Op, attrs_of, kernel_type
from tinyfleet_codegen.overlap import Overlap
from tinyfleet_codegen.pooling import Pool2DAttrs, check_pool, emit_pool, pool_axes, pool_overlap, pool_windows, read_pool_attrs
from tinyfleet_codegen.tflite.flatbuffer import Table


class MaxPool2D(Op):
    """Input `[1, h, w, c]`, output `[1, oh, ow, c]`, of one scale and zero point."""

    name = "MAX_POOL_2D"
    has_int16 = True
    input_count = (1, 1)
    rounding = "exact"

    def read_attrs(self, options: Table | None) -> Pool2DAttrs:
        return read_pool_attrs(options)

    def check(self, graph: Graph, node: Node) -> None:
        check_pool(graph, node)

    def reference(self, graph: Graph, node: Node, inputs: list[Array | None]) -> Array:
        output = graph.output_tensor(node)
        low, high = activation_range(attrs_of(node, Pool2DAttrs).activation, output)
        x = inputs[0]
        assert x is not None
        result = np.empty(output.shape, NUMPY_DTYPES[output.dtype])
        for oy, ox, window in pool_windows(x, *pool_axes(graph, node)):
            result[0, oy, ox] = np.clip(window.max(axis=(0, 1)), low, high)
        return result

    def output_overlap(self, graph: Graph, node: Node, position: int) -> Overlap:
        return pool_overlap(graph, node)

    def emit(self, graph: Graph, node: Node, printer: CallPrinter) -> None:
        emit_pool(graph, node, printer, f"tyf_max_pool2d_{kernel_type(graph.output_tensor(node))}")
