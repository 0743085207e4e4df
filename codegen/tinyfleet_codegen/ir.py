"""The intermediate representation: a graph of nodes over tensors, immutable and in execution order."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tinyfleet_codegen.wire.ids import DType

if TYPE_CHECKING:
    from tinyfleet_codegen.op import Op

NUMPY_DTYPES: dict[DType, npt.DTypeLike] = {
    DType.FLOAT32: np.float32,
    DType.INT32: np.int32,
    DType.UINT8: np.uint8,
    DType.INT64: np.int64,
    DType.BOOL: np.bool_,
    DType.INT16: np.int16,
    DType.INT8: np.int8,
}


@dataclass(frozen=True, slots=True)
class Quantization:
    """``real = scale * (q - zero_point)``; one scale a tensor, or one a channel along ``axis``."""

    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """A value in the graph.

    Attributes:
        data: Set for constants only.
        channels: Which indices of the last axis, as the model has it, are left; None for all.
    """

    name: str
    shape: tuple[int, ...]
    dtype: DType
    quant: Quantization | None = None
    data: npt.NDArray[np.generic] | None = None
    channels: tuple[int, ...] | None = None

    @property
    def elements(self) -> int:
        """Number of elements; 1 for a scalar."""
        return math.prod(self.shape)

    @property
    def element_bytes(self) -> int:
        """Size of one element in memory."""
        return np.dtype(NUMPY_DTYPES[self.dtype]).itemsize

    @property
    def bytes(self) -> int:
        """Size in memory."""
        return self.elements * self.element_bytes

    @property
    def scale(self) -> float:
        """The scale of a per-tensor quantized tensor."""
        assert self.quant is not None and len(self.quant.scales) == 1
        return self.quant.scales[0]

    @property
    def zero_point(self) -> int:
        """The zero point of a per-tensor quantized tensor."""
        assert self.quant is not None
        return self.quant.zero_points[0]


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One use of an op.

    Attributes:
        index: Position of the operator in the .tflite; names the layer for people.
        op: The kind of node.
        attrs: Options, of the dataclass that the op's ``read_attrs`` returns.
        inputs: Tensor ids; None for an optional input that is absent.
        outputs: Tensor ids; the first is what the layer shows, further ones are states' next values.
        part, parts: An operator of several outputs is read as one node an output; this is number ``part`` of ``parts``.
    """

    index: int
    op: Op
    attrs: object
    inputs: tuple[int | None, ...]
    outputs: tuple[int, ...]
    part: int = 0
    parts: int = 1

    @property
    def label(self) -> str:
        """For example ``op 3 (CONV_2D)``, or ``op 4 (SPLIT) output 1``."""
        return f"op {self.index} ({self.op.name})" + (f" output {self.part}" if self.parts > 1 else "")

    @property
    def symbol(self) -> str:
        """Prefix of its names in C, unique in the graph: ``op3``, or ``op4_1`` for one of several outputs."""
        return f"op{self.index}" + (f"_{self.part}" if self.parts > 1 else "")


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """What the model remembers from one run to the next; it has a place of its own in the arena.

    Attributes:
        tensor: Holds the value when a run starts; no node writes it.
        next: Holds the value for the next run, in the same place; written by one of the last nodes.
        value: The tensor of the file that has the same value as ``next``.
        initial: The value after a reset.
    """

    tensor: int
    next: int
    value: int
    initial: npt.NDArray[np.generic]


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """Nodes in execution order; tensor ids index ``tensors``."""

    name: str
    tensors: tuple[Tensor, ...]
    nodes: tuple[Node, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    states: tuple[State, ...] = ()

    @property
    def sources(self) -> tuple[int, ...]:
        """Tensors that have a value before the first node: inputs and states."""
        return (*self.inputs, *(state.tensor for state in self.states))

    @property
    def results(self) -> tuple[int, ...]:
        """Tensors whose values are needed after the last node: outputs and what states become."""
        return (*self.outputs, *(state.next for state in self.states))

    def input_tensor(self, node: Node, position: int) -> Tensor:
        """The tensor at an input that must be there (``check`` has seen to it)."""
        tensor_id = node.inputs[position]
        assert tensor_id is not None
        return self.tensors[tensor_id]

    def output_tensor(self, node: Node) -> Tensor:
        """The tensor that a node of one output writes."""
        return self.tensors[node.outputs[0]]
