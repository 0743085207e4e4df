"""What every op file implements, and what printers offer to it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from tinyfleet_codegen.errors import QuantError, ShapeError, UnsupportedOp
from tinyfleet_codegen.ir import Graph, Node, Tensor
from tinyfleet_codegen.overlap import Overlap
from tinyfleet_codegen.tflite.flatbuffer import Table
from tinyfleet_codegen.wire.ids import DType

Array = npt.NDArray[np.generic]
Float32Array = npt.NDArray[np.float32]
A = TypeVar("A")


@dataclass(frozen=True, slots=True)
class Memory:
    """Some bytes of a tensor, or of a node's scratch memory when ``tensor`` is None; they move by a step in each repetition."""

    tensor: int | None
    first_byte: int
    bytes: int
    step_bytes: int = 0


@dataclass(frozen=True, slots=True)
class PrintedCall:
    """A call whose arguments are expressions of the printer or memory."""

    kernel: str
    arguments: tuple[str | Memory, ...]


class CallPrinter(Protocol):
    """Prints the call of one node; implemented by the C printer."""

    def scratch(self) -> str:
        """C expression of the memory that the kernel's ``scratch_bytes`` asked for."""

    def constant(self, name: str, c_type: str, values: npt.ArrayLike) -> str:
        """Declare a ``static const`` array and return its symbol."""

    def table(self, name: str, c_type: str, rows: npt.NDArray[np.int64]) -> str:
        """Declare a ``static const`` array of structs of int32 members, one row each, and return its symbol."""

    def params(self, c_type: str, fields: dict[str, int], name: str = "params") -> str:
        """Declare a ``static const`` struct and return the address expression; ``name`` tells several of one node apart."""

    def tensor(self, tensor_id: int | None) -> str:
        """C expression of the tensor's first byte in the arena, or of its constant; ``NULL`` for an absent input."""

    def call(self, kernel: str, *arguments: str) -> None:
        """Call a kernel of ``lib/nn``; its header is included. A node may call several, or one several times."""

    def repeat(self, count: int, calls: tuple[PrintedCall, ...]) -> None:
        """The calls in order, ``count`` times."""


class Op(ABC):
    """A node kind. One file in ``ops/`` holds its import, checks, reference, cost and emitted call."""

    name: str
    """Name in the .tflite schema, for example ``CONV_2D``."""
    input_count: tuple[int, int]
    """Fewest and most inputs; those beyond the fewest may be absent."""
    output_count: tuple[int, int] = (1, 1)
    """Fewest and most outputs in the file; each becomes a node of its own (``Node.part``)."""
    made = 1
    """Tensors that a node makes; the first one is its layer."""
    reads_values = True
    """False when the output follows from the inputs' shapes alone."""
    rounding: str
    """How results are rounded, one line, for ``docs/spec/ops.md``."""
    has_int16 = False
    """Whether there is a kernel for int16 activations: no other than what the oracle has."""

    @abstractmethod
    def read_attrs(self, options: Table | None) -> object:
        """Builtin options to a frozen dataclass (or None when the op has none)."""

    def arrange_inputs(self, inputs: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The node's inputs from those of the file, for an op whose file order is unlike that of its relatives.

        Raises:
            ShapeError: too few or too many.
        """
        return inputs

    @abstractmethod
    def check(self, graph: Graph, node: Node) -> None:
        """Refuse what the kernels cannot do.

        Raises:
            UnsupportedOp: a type or an option is not supported.
            ShapeError: shapes do not fit together.
            QuantError: quantization parameters do not fit together.
        """

    def float_function(self, node: Node, inputs: list[Float32Array]) -> Float32Array | None:
        """The oracle's float32 arithmetic, elementwise, of an op that may stand between DEQUANTIZE and QUANTIZE; else None.

        Transcendental functions are computed in double and rounded: the same on every machine.
        """
        return None

    @abstractmethod
    def reference(self, graph: Graph, node: Node, inputs: list[Array | None]) -> Array:
        """The output's exact value in NumPy, from values of the inputs (constants included)."""

    def references(self, graph: Graph, node: Node, inputs: list[Array | None]) -> tuple[Array, ...]:
        """The values of all ``made`` tensors."""
        return (self.reference(graph, node, inputs),)

    @abstractmethod
    def emit(self, graph: Graph, node: Node, printer: CallPrinter) -> None:
        """Print constants and the call of the portable kernel."""

    def macs(self, graph: Graph, node: Node) -> int:
        """Multiply-accumulates of one run."""
        return 0

    def output_overlap(self, graph: Graph, node: Node, position: int) -> Overlap | None:
        """How the portable kernel's first output may lie over the input at ``position``; None: they must be apart."""
        return None

    def aliases_input(self, graph: Graph, node: Node) -> bool:
        """Whether the output is the first input's bytes, so that both share one place in the arena."""
        return False


class ReadOnlyOp(Op):
    """An op that has done its work when the model is read, and is in no graph."""

    rounding = "exact"
    state_inputs: tuple[int, ...] = ()
    """Positions of inputs that are the operator's own variables."""

    def split_state(self, node: Node, following: tuple[int, ...]) -> tuple[Node, ...]:
        """The nodes of an operator with variables; they write the tensors ``following``, the next values."""
        raise AssertionError(f"{node.label} has no variable")

    def read_attrs(self, options: Table | None) -> object:
        return None

    def check(self, graph: Graph, node: Node) -> None:
        raise AssertionError(f"{node.label} is left in the graph")

    def reference(self, graph: Graph, node: Node, inputs: list[Array | None]) -> Array:
        raise AssertionError(f"{node.label} is left in the graph")

    def emit(self, graph: Graph, node: Node, printer: CallPrinter) -> None:
        raise AssertionError(f"{node.label} is left in the graph")


def attrs_of(node: Node, kind: type[A]) -> A:
    """The node's options with their type."""
    assert isinstance(node.attrs, kind)
    return node.attrs


def data_of(tensor: Tensor) -> Array:
    """The values of a tensor that ``check`` found to be constant."""
    assert tensor.data is not None
    return tensor.data


def require_arity(node: Node) -> None:
    """Refuse a wrong number of inputs or outputs, or a missing input that the op needs."""
    least, most = node.op.input_count
    made = node.op.made
    if not least <= len(node.inputs) <= most or len(node.outputs) != made or any(i is None for i in node.inputs[:least]):
        raise ShapeError(
            f"{node.label} has {len(node.inputs)} inputs and {len(node.outputs)} outputs, expected {least} to {most} and {made}"
        )


def require_same_quant(node: Node, a: Tensor, b: Tensor) -> None:
    """Refuse two quantized tensors of which one's bytes mean something else than the other's."""
    if a.dtype is not b.dtype:
        raise UnsupportedOp(f"{node.label} changes the type from {a.dtype.name.lower()} to {b.dtype.name.lower()}")
    if a.dtype not in (DType.INT8, DType.UINT8, DType.INT16):
        return
    pairs = [None if t.quant is None else (t.quant.scales, t.quant.zero_points) for t in (a, b)]
    if pairs[0] != pairs[1]:
        raise QuantError(f"{node.label}: '{a.name}' and '{b.name}' must have one scale and zero point")


def require_dtype(
    node: Node, what: str, tensor: Tensor, *allowed: DType, hint: str = "quantize the model to int8 (int8 inputs and outputs)"
) -> None:
    """Refuse a tensor whose type is not among ``allowed``; ``hint``: the next step."""
    if tensor.dtype not in allowed:
        names = " or ".join(d.name.lower() for d in allowed)
        raise UnsupportedOp(
            f"{node.label}: {what} '{tensor.name}' is {tensor.dtype.name.lower()}, supported is {names}",
            hint=hint,
        )


def require_activations(node: Node, *tensors: tuple[str, Tensor], int16: bool = True) -> None:
    """Refuse activations that are not quantized by one scale each, all of one type: int8, or int16 with zero point 0.

    Args:
        tensors: What each is, and the tensor.
        int16: Whether there is an int16 kernel.
    """
    first = tensors[0][1]
    for what, tensor in tensors:
        require_dtype(node, what, tensor, DType.INT8, *([DType.INT16] if int16 else []))
        require_per_tensor_quant(node, what, tensor)
        if tensor.dtype is not first.dtype:
            names = f"'{first.name}' is {first.dtype.name.lower()} and '{tensor.name}' {tensor.dtype.name.lower()}"
            raise UnsupportedOp(f"{node.label}: {names}, supported is one type")
        if tensor.dtype is DType.INT16 and tensor.zero_point != 0:
            raise QuantError(f"{node.label}: {what} '{tensor.name}' is int16 with zero point {tensor.zero_point}, supported is 0")


def kernel_type(tensor: Tensor) -> str:
    """The end of a kernel's name for activations of this type."""
    return {DType.INT8: "s8", DType.INT16: "s16"}[tensor.dtype]


def require_per_tensor_quant(node: Node, what: str, tensor: Tensor) -> None:
    """Refuse a tensor that has no single scale and zero point."""
    if tensor.quant is None or len(tensor.quant.scales) != 1:
        raise QuantError(f"{node.label}: {what} '{tensor.name}' needs one scale and zero point")


def require_constant(node: Node, what: str, tensor: Tensor) -> None:
    """Refuse a tensor whose values are not in the file."""
    if tensor.data is None:
        raise UnsupportedOp(f"{node.label}: {what} '{tensor.name}' must be a constant of the model")


def require_shape(node: Node, what: str, tensor: Tensor, expected: tuple[int, ...]) -> None:
    """Refuse a tensor of another shape."""
    if tensor.shape != expected:
        raise ShapeError(f"{node.label}: {what} '{tensor.name}' has shape {list(tensor.shape)}, expected {list(expected)}")
