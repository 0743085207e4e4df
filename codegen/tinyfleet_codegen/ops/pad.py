"""PAD: int8 or int16, up to rank 4, filled with the zero point."""

from __future__ import annotations

import numpy as np

from tinyfleet_codegen.errors import ShapeError
from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.op import (
    Array,
    CallPrinter,
    Op,
    data_of,
    kernel_type,
    require_activations,
    require_constant,
    require_dtype,
    require_same_quant,
    require_shape,
)
from tinyfleet_codegen.overlap import Overlap, forward_overlap
from tinyfleet_codegen.tflite.flatbuffer import Table
from tinyfleet_codegen.wire.ids import DType


class Pad(Op):
    """Input of rank <= 4, constant paddings `[rank, 2]` (before, after) >= 0."""

    name = "PAD"
    has_int16 = True
    input_count = (2, 2)
    rounding = "exact"

    def read_attrs(self, options: Table | None) -> None:
        return None

    def fill(self, graph: Graph, node: Node) -> int:
        """The quantized value of the border."""
        return graph.output_tensor(node).zero_point

    def check(self, graph: Graph, node: Node) -> None:
        source, paddings, output = graph.input_tensor(node, 0), graph.input_tensor(node, 1), graph.output_tensor(node)
        require_activations(node, ("input", source), ("output", output))
        require_dtype(node, "paddings", paddings, DType.INT32, DType.INT64)
        require_constant(node, "paddings", paddings)
        require_same_quant(node, source, output)
        rank = len(source.shape)
        if rank > 4:
            raise ShapeError(f"{node.label}: rank {rank} is not supported, at most 4")
        require_shape(node, "paddings", paddings, (rank, 2))
        values = data_of(paddings).astype(np.int64)
        if values.size and (values.min() < 0 or values.max() > 65535):
            raise ShapeError(f"{node.label}: paddings must be in 0..65535, got {values.tolist()}")
        padded = tuple(int(d + b + a) for d, (b, a) in zip(source.shape, values, strict=True))
        require_shape(node, "output", output, padded)

    def reference(self, graph: Graph, node: Node, inputs: list[Array | None]) -> Array:
        x, paddings = inputs[0], data_of(graph.input_tensor(node, 1))
        assert x is not None
        fill = self.fill(graph, node)
        return np.pad(x, [(int(b), int(a)) for b, a in paddings], constant_values=x.dtype.type(fill))

    def output_overlap(self, graph: Graph, node: Node, position: int) -> Overlap:
        source, output = graph.input_tensor(node, 0), graph.output_tensor(node)
        inside = tuple(slice(int(b), int(b) + d) for (b, _), d in zip(data_of(graph.input_tensor(node, 1)), source.shape, strict=True))
        written = np.arange(output.elements).reshape(output.shape)[inside].reshape(-1)
        return forward_overlap(written * source.element_bytes, np.arange(source.elements) * source.element_bytes)

    def emit(self, graph: Graph, node: Node, printer: CallPrinter) -> None:
        source = graph.input_tensor(node, 0)
        missing = 4 - len(source.shape)
        paddings = np.zeros((4, 2), np.int64)
        paddings[missing:] = data_of(graph.input_tensor(node, 1))
        shape = (1,) * missing + source.shape
        fields = {f"input_dims[{i}]": d for i, d in enumerate(shape)}
        fields |= {f"before[{i}]": int(paddings[i, 0]) for i in range(4)}
        fields |= {f"after[{i}]": int(paddings[i, 1]) for i in range(4)}
        params = printer.params("tyf_pad_s8_params", {**fields, "value": self.fill(graph, node)})
        printer.call(f"tyf_pad_{kernel_type(source)}", params, printer.tensor(node.inputs[0]), printer.tensor(node.outputs[0]))
