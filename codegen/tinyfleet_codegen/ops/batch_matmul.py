"""BATCH_MATMUL: int8 or int16, products of two matrices, either of which may be a constant."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinyfleet_codegen.errors import QuantError, ShapeError
from tinyfleet_codegen.ir import NUMPY_DTYPES, Graph, Node
from tinyfleet_codegen.movement import strides_of
from tinyfleet_codegen.op import Array, CallPrinter, Op, attrs_of, kernel_type, require_activations, require_shape
from tinyfleet_codegen.quant import INT32_MAX, quantize_multiplier, requantize, requantize_wide
from tinyfleet_codegen.tflite.flatbuffer import Table
from tinyfleet_codegen.weights import WIDE_LIMIT, wide_multiplier
from tinyfleet_codegen.wire.ids import DType


@dataclass(frozen=True, slots=True)
class BatchMatmulAttrs:
    """Options of BATCH_MATMUL: which of the two is transposed."""

    transposes: tuple[bool, bool]


class BatchMatmul(Op):
    """`[..., m, k]` times `[..., k, n]`, rank 2 to 4, either transposed on request; leading dimensions broadcast."""

    name = "BATCH_MATMUL"
    has_int16 = True
    input_count = (2, 2)
    rounding = "double rounding of the int32 sum; int16: one rounding of the int64 sum"

    def read_attrs(self, options: Table | None) -> BatchMatmulAttrs:
        return BatchMatmulAttrs((False, False) if options is None else (bool(options.u8(0)), bool(options.u8(1))))

    def _operand(self, graph: Graph, node: Node, position: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Shape and strides, rank 4, as the product sees them; stride 0 where it broadcasts."""
        shape = graph.input_tensor(node, position).shape
        shape = (1,) * (4 - len(shape)) + shape
        strides = tuple(0 if i < 2 and d == 1 else s for i, (d, s) in enumerate(zip(shape, strides_of(shape), strict=True)))
        if attrs_of(node, BatchMatmulAttrs).transposes[position]:
            return (*shape[:2], shape[3], shape[2]), (*strides[:2], strides[3], strides[2])
        return shape, strides

    def check(self, graph: Graph, node: Node) -> None:
        a, b, output = graph.input_tensor(node, 0), graph.input_tensor(node, 1), graph.output_tensor(node)
        require_activations(node, ("input", a), ("input", b), ("output", output))
        if not all(2 <= len(t.shape) <= 4 and t.elements for t in (a, b)):
            raise ShapeError(f"{node.label}: inputs {list(a.shape)} and {list(b.shape)} must have rank 2 to 4 and elements")
        left, right = self._operand(graph, node, 0)[0], self._operand(graph, node, 1)[0]
        if left[3] != right[2] or any(x != y and 1 not in (x, y) for x, y in zip(left[:2], right[:2], strict=True)):
            raise ShapeError(f"{node.label}: {list(a.shape)} and {list(b.shape)} have no product")
        expected = (*(max(x, y) for x, y in zip(left[:2], right[:2], strict=True)), left[2], right[3])
        require_shape(node, "output", output, expected[4 - max(len(a.shape), len(b.shape)) :])
        is_wide = output.dtype is DType.INT16
        largest, limit = (1 << 30, WIDE_LIMIT - 1) if is_wide else (255 * 255, INT32_MAX)
        if left[3] * largest > limit:
            raise QuantError(f"{node.label}: sums of {left[3]} products do not fit into {'48 bits' if is_wide else 'int32'}")
        self._multiplier(graph, node)

    def _multiplier(self, graph: Graph, node: Node) -> tuple[int, int]:
        a, b = graph.input_tensor(node, 0), graph.input_tensor(node, 1)
        output = graph.output_tensor(node)
        pair = quantize_multiplier(a.scale * b.scale / output.scale)
        return wide_multiplier(node, *pair) if output.dtype is DType.INT16 else pair

    def macs(self, graph: Graph, node: Node) -> int:
        return graph.output_tensor(node).elements * self._operand(graph, node, 0)[0][3]

    def reference(self, graph: Graph, node: Node, inputs: list[Array | None]) -> Array:
        operands = []
        for position, is_transposed in enumerate(attrs_of(node, BatchMatmulAttrs).transposes):
            x = inputs[position]
            assert x is not None
            values = x.astype(np.int64) - graph.input_tensor(node, position).zero_point
            operands.append(values.swapaxes(-1, -2) if is_transposed else values)
        output = graph.output_tensor(node)
        scale = requantize_wide if output.dtype is DType.INT16 else requantize
        result = scale(operands[0] @ operands[1], *self._multiplier(graph, node)) + output.zero_point
        dtype = NUMPY_DTYPES[output.dtype]
        return np.clip(result, np.iinfo(dtype).min, np.iinfo(dtype).max).astype(dtype)

    def emit(self, graph: Graph, node: Node, printer: CallPrinter) -> None:
        (left, a_strides), (right, b_strides) = self._operand(graph, node, 0), self._operand(graph, node, 1)
        multiplier, shift = self._multiplier(graph, node)
        fields = {f"batches[{i}]": max(x, y) for i, (x, y) in enumerate(zip(left[:2], right[:2], strict=True))}
        fields |= {"rows": left[2], "depth": left[3], "columns": right[3]}
        fields |= {f"a_strides[{i}]": s for i, s in enumerate(a_strides)} | {f"b_strides[{i}]": s for i, s in enumerate(b_strides)}
        fields |= {"a_offset": -graph.input_tensor(node, 0).zero_point, "b_offset": -graph.input_tensor(node, 1).zero_point}
        fields |= {"output_offset": graph.output_tensor(node).zero_point, "multiplier": multiplier, "shift": shift}
        params = printer.params("tyf_batch_matmul_s8_params", fields)
        places = [printer.tensor(i) for i in (*node.inputs, *node.outputs)]
        printer.call(f"tyf_batch_matmul_{kernel_type(graph.output_tensor(node))}", params, *places)
