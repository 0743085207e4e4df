"""What comparisons of two int8 tensors share: the scales, the kernel, which outcomes are true."""

from __future__ import annotations

import numpy as np

from tinyfleet_codegen.elementwise import BinaryScales, binary_fields, require_broadcast
from tinyfleet_codegen.errors import QuantError
from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.op import Array, CallPrinter, Op, require_dtype, require_per_tensor_quant
from tinyfleet_codegen.overlap import Overlap, elementwise_overlap
from tinyfleet_codegen.quant import quantize_multiplier, requantize
from tinyfleet_codegen.tflite.flatbuffer import Table
from tinyfleet_codegen.wire.ids import DType

LEFT_SHIFT = 8
"""Both inputs are scaled up by 2**8 before they meet."""


class ComparisonOp(Op):
    """Two int8 inputs that broadcast to the bool output's shape, rank <= 4; either may be a constant."""

    input_count = (2, 2)
    rounding = "double rounding of each input's real value, scaled up by 2**8: values that round to one are equal"
    is_true: tuple[bool, bool, bool]
    """The result when the first input is less than, equal to and greater than the second."""

    def read_attrs(self, options: Table | None) -> object:
        return None

    def check(self, graph: Graph, node: Node) -> None:
        for position in (0, 1):
            source = graph.input_tensor(node, position)
            require_dtype(node, "input", source, DType.INT8)
            require_per_tensor_quant(node, "input", source)
            # The oracle aborts on such a scale.
            if source.scale >= 1.0:
                raise QuantError(f"{node.label}: the scale {source.scale!r} of input '{source.name}' must be below 1")
        require_dtype(node, "output", graph.output_tensor(node), DType.BOOL)
        require_broadcast(graph, node)
        self.scales(graph, node)

    def scales(self, graph: Graph, node: Node) -> BinaryScales:
        """Each input's own scale; none is relative to the other."""
        a, b = (quantize_multiplier(graph.input_tensor(node, i).scale) for i in (0, 1))
        return BinaryScales(a, b)

    def reference(self, graph: Graph, node: Node, inputs: list[Array | None]) -> Array:
        scales, values = self.scales(graph, node), []
        for i, (x, scale) in enumerate(zip(inputs, (scales.a, scales.b), strict=True)):
            assert x is not None
            values.append(requantize((x.astype(np.int64) - graph.input_tensor(node, i).zero_point) << LEFT_SHIFT, *scale))
        return np.asarray(np.array(self.is_true)[np.sign(values[0] - values[1]) + 1])

    def output_overlap(self, graph: Graph, node: Node, position: int) -> Overlap | None:
        return elementwise_overlap(graph.output_tensor(node).shape, graph.input_tensor(node, position).shape)

    def emit(self, graph: Graph, node: Node, printer: CallPrinter) -> None:
        fields = binary_fields(graph, node, self.scales(graph, node))
        fields |= {name: int(value) for name, value in zip(("less", "equal", "greater"), self.is_true, strict=True)}
        params = printer.params("tyf_compare_s8_params", fields)
        printer.call("tyf_compare_s8", params, *(printer.tensor(t) for t in (*node.inputs, node.outputs[0])))
