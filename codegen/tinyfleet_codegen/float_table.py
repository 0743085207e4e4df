"""The node that stands for float ops between DEQUANTIZE and QUANTIZE, and ops that occur only there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinyfleet_codegen.errors import UnsupportedOp
from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.lookup import LookupOp
from tinyfleet_codegen.op import ReadOnlyOp, attrs_of
from tinyfleet_codegen.quant import Int64Array


@dataclass(frozen=True, slots=True)
class FloatTableAttrs:
    """Results for the values -128..127."""

    table: tuple[int, ...]


class FloatTable(LookupOp):
    """A function of one int8 value, computed in float32 when the model was read."""

    name = "FLOAT_TABLE"
    rounding = "float32 when the model is read"

    def results(self, graph: Graph, node: Node, q: Int64Array) -> Int64Array:
        return np.array(attrs_of(node, FloatTableAttrs).table, np.int64)[q + 128]


class FloatOnlyOp(ReadOnlyOp):
    """An elementwise op for which the oracle has no int8 arithmetic."""

    input_count = (1, 1)
    rounding = "float32 when the model is read, nearest, ties away from zero; a 256-entry table on the device"

    def check(self, graph: Graph, node: Node) -> None:
        raise UnsupportedOp(f"{node.label} is supported only in float32 between DEQUANTIZE and QUANTIZE of int8")
