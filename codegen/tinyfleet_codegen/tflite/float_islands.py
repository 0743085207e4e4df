"""Float arithmetic between DEQUANTIZE and QUANTIZE of int8, as tables.

Converters leave ops that they cannot quantize in float32: DEQUANTIZE, some elementwise ops, QUANTIZE. What comes out is a
function of one int8 value, so its 256 results are computed here and the device looks them up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from tinyfleet_codegen.errors import UnsupportedOp
from tinyfleet_codegen.float_table import FloatTable, FloatTableAttrs
from tinyfleet_codegen.ir import Node, Tensor
from tinyfleet_codegen.ops.quantize import quantize_floats
from tinyfleet_codegen.wire.ids import DType

Float32Array = npt.NDArray[np.float32]


class _Islands:
    """Walks the operators once, in order, and knows which float tensors follow from one int8 value."""

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        self._tensors = tensors
        self._values: dict[int, tuple[int, Float32Array]] = {}  # float tensor -> int8 tensor, results for -128..127
        self.removed: dict[int, Node] = {}  # tensor -> float op that made it
        self.nodes: list[Node] = []

    def take(self, node: Node) -> None:
        """The next operator."""
        first = node.inputs[0] if node.inputs else None
        if node.op.name == "DEQUANTIZE" and first is not None and self._is_int8(first) and len(node.outputs) == 1:
            source = self._tensors[first]
            self._values[node.outputs[0]] = (first, (np.arange(-128, 128, dtype=np.float32) - source.zero_point) * np.float32(source.scale))
        elif node.op.name == "QUANTIZE" and first in self._values and self._is_int8(node.outputs[0]):
            source_id, values = self._values[first]
            table = FloatTableAttrs(tuple(int(v) for v in quantize_floats(values, self._tensors[node.outputs[0]])))
            self.nodes.append(replace(node, op=FloatTable(), attrs=table, inputs=(source_id,)))
            return
        elif len(node.outputs) == 1 and (made := self._apply(node)) is not None:
            self._values[node.outputs[0]] = made
            self.removed[node.outputs[0]] = node
            return
        self.nodes.append(node)

    def _is_int8(self, tensor_id: int) -> bool:
        tensor = self._tensors[tensor_id]
        return tensor.dtype is DType.INT8 and tensor.quant is not None and len(tensor.quant.scales) == 1 and tensor.data is None

    def _apply(self, node: Node) -> tuple[int, Float32Array] | None:
        """The op's results, when its inputs follow from one int8 tensor of its output's shape; else None."""
        output = self._tensors[node.outputs[0]]
        sources = {self._values[i][0] for i in node.inputs if i in self._values}
        if output.dtype is not DType.FLOAT32 or len(sources) != 1:
            return None
        (source,) = sources
        if self._tensors[source].shape != output.shape:
            return None
        operands: list[Float32Array] = []
        for i in node.inputs:
            if i in self._values:
                operands.append(self._values[i][1])
                continue
            data = None if i is None else self._tensors[i].data
            if data is None or data.size != 1 or data.dtype != np.float32:
                return None
            operands.append(data.reshape(1).astype(np.float32))
        if len(operands) not in range(node.op.input_count[0], node.op.input_count[1] + 1):
            return None
        with np.errstate(all="ignore"):
            result = node.op.float_function(node, operands)
        return None if result is None else (source, np.broadcast_to(result, 256).astype(np.float32))


def resolve_float_islands(tensors: Sequence[Tensor], nodes: Sequence[Node], outputs: Sequence[int]) -> tuple[Node, ...]:
    """Replace chains of float ops by tables.

    Raises:
        UnsupportedOp: the result of a float op is needed as float.
    """
    islands = _Islands(tensors)
    for node in nodes:
        islands.take(node)
    for wanted in (*outputs, *(i for node in islands.nodes for i in node.inputs)):
        if wanted in islands.removed:
            raise UnsupportedOp(
                f"{islands.removed[wanted].label}: float32 is supported only in elementwise ops between DEQUANTIZE and QUANTIZE of int8"
            )
    return tuple(islands.nodes)
