"""What comparisons of two tensors share: the scales, the kernels, which outcomes are true."""

from __future__ import annotations

import numpy as np

from tinyfleet_codegen.elementwise import dims_fields, require_broadcast, stride_fields
from tinyfleet_codegen.errors import QuantError, UnsupportedOp
from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.op import Array, CallPrinter, Op, require_dtype, require_per_tensor_quant
from tinyfleet_codegen.overlap import Overlap, elementwise_overlap
from tinyfleet_codegen.quant import quantize_multiplier, requantize
from tinyfleet_codegen.tflite.flatbuffer import Table
from tinyfleet_codegen.wire.ids import DType

LEFT_SHIFT = 8
"""Both inputs are scaled up by 2**8 before they meet."""
KERNELS = {DType.INT8: "tyf_compare_s8", DType.INT32: "tyf_compare_s32", DType.BOOL: "tyf_compare_u8"}


class ComparisonOp(Op):
    """Two int8, int32 or, in some, bool inputs that broadcast to the bool output's shape, rank <= 4; either may be a constant."""

    input_count = (2, 2)
    rounding = "of int8, double rounding of each real value, scaled up by 2**8: values that round to one are equal; else exact"
    is_true: tuple[bool, bool, bool]
    """The result when the first input is less than, equal to and greater than the second."""

    def read_attrs(self, options: Table | None) -> object:
        return None

    def check(self, graph: Graph, node: Node) -> None:
        first, second = (graph.input_tensor(node, i) for i in (0, 1))
        # The oracle orders no bools.
        is_order = self.is_true[0] != self.is_true[2]
        for source in (first, second):
            require_dtype(node, "input", source, DType.INT8, DType.INT32, *(() if is_order else (DType.BOOL,)))
            if source.dtype is not first.dtype:
                raise UnsupportedOp(f"{node.label} compares {first.dtype.name.lower()} with {source.dtype.name.lower()}")
            if source.dtype is DType.INT8:
                require_per_tensor_quant(node, "input", source)
                # The oracle aborts on such a scale.
                if source.scale >= 1.0:
                    raise QuantError(f"{node.label}: the scale {source.scale!r} of input '{source.name}' must be below 1")
        require_dtype(node, "output", graph.output_tensor(node), DType.BOOL)
        require_broadcast(graph, node)
        self._scales(graph, node)

    def _scales(self, graph: Graph, node: Node) -> list[tuple[int, int, int]]:
        """Offset, multiplier and shift of each input's own scale; none is relative to the other."""
        sources = [graph.input_tensor(node, i) for i in (0, 1)]
        if sources[0].dtype is DType.INT8:
            return [(-source.zero_point, *quantize_multiplier(source.scale)) for source in sources]
        return [(0, 0, 0)] * 2

    def reference(self, graph: Graph, node: Node, inputs: list[Array | None]) -> Array:
        values = []
        for x, (offset, *scale) in zip(inputs, self._scales(graph, node), strict=True):
            assert x is not None
            value = x.astype(np.int64) + offset
            values.append(requantize(value << LEFT_SHIFT, *scale) if x.dtype == np.int8 else value)
        return np.asarray(np.array(self.is_true)[np.sign(values[0] - values[1]) + 1])

    def output_overlap(self, graph: Graph, node: Node, position: int) -> Overlap | None:
        source = graph.input_tensor(node, position)
        return elementwise_overlap(graph.output_tensor(node).shape, source.shape, 1, source.element_bytes)

    def emit(self, graph: Graph, node: Node, printer: CallPrinter) -> None:
        fields = dims_fields(graph, node)
        for position, (name, (offset, multiplier, shift)) in enumerate(zip("ab", self._scales(graph, node), strict=True)):
            fields |= stride_fields(f"{name}.strides", graph.input_tensor(node, position))
            fields |= {f"{name}.offset": offset, f"{name}.multiplier": multiplier, f"{name}.shift": shift}
        fields |= {name: int(value) for name, value in zip(("less", "equal", "greater"), self.is_true, strict=True)}
        params = printer.params("tyf_compare_s8_params", fields)
        kernel = KERNELS[graph.input_tensor(node, 0).dtype]
        printer.call(kernel, params, *(printer.tensor(t) for t in (*node.inputs, node.outputs[0])))
