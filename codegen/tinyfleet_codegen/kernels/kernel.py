"""What every kernel for one CPU class implements."""

from __future__ import annotations

from abc import ABC, abstractmethod

from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.op import CallPrinter
from tinyfleet_codegen.overlap import Overlap
from tinyfleet_codegen.wire.ids import DType


class Kernel(ABC):
    """A C function that computes the same bytes as the portable one of its op, faster, for the nodes that fit it."""

    op: str
    """Name of the op in the .tflite schema."""
    symbol: str
    """The C function."""
    dtype = DType.INT8
    """Of the activations."""

    @abstractmethod
    def fits(self, graph: Graph, node: Node) -> bool:
        """Whether shapes and bounds allow it; what it relies on is proven here, once, at build time."""

    @abstractmethod
    def emit(self, graph: Graph, node: Node, printer: CallPrinter) -> None:
        """Print packed constants and the call."""

    def output_overlap(self, graph: Graph, node: Node, position: int) -> Overlap | None:
        """How the first output may lie over the input at ``position``; None: they must be apart."""
        return None

    def scratch_overlap(self, graph: Graph, node: Node, position: int) -> Overlap | None:
        """How the borrowed memory may lie over the input at ``position``; None: they must be apart."""
        return None

    def scratch_bytes(self, graph: Graph, node: Node) -> int:
        """Memory that it borrows while it runs; the same formula as in its header."""
        return 0
