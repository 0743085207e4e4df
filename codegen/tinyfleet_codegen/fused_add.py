"""CONV_2D_ADD: a convolution and the ADD that is the only one to read it, computed together.

Not an op of a model: :mod:`tinyfleet_codegen.passes.fuse_adds` makes one where that saves memory. What lies between the two is never whole
in memory, and the output may lie over the tensor that is added.
"""

from __future__ import annotations

from dataclasses import dataclass

from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.op import Array, CallPrinter, Op, attrs_of
from tinyfleet_codegen.tflite.flatbuffer import Table


@dataclass(frozen=True, slots=True, eq=False)
class FusedAddAttrs:
    """The two nodes, as they were."""

    conv: Node
    add: Node

    @property
    def residual(self) -> int:
        """The position among ADD's inputs of the one that is not the convolution's output."""
        return 1 - self.add.inputs.index(self.conv.outputs[0])


class FusedAdd(Op):
    """Inputs: the convolution's, then the one that is added."""

    name = "CONV_2D_ADD"
    input_count = (2, 2)
    rounding = "as its layers"

    def read_attrs(self, options: Table | None) -> None:
        raise AssertionError("no file holds it")

    def check(self, graph: Graph, node: Node) -> None:
        """Its layers were checked before."""

    def macs(self, graph: Graph, node: Node) -> int:
        conv = attrs_of(node, FusedAddAttrs).conv
        return conv.op.macs(graph, conv)

    def reference(self, graph: Graph, node: Node, inputs: list[Array | None]) -> Array:
        attrs = attrs_of(node, FusedAddAttrs)
        constants = [None if i is None else graph.tensors[i].data for i in attrs.conv.inputs[1:]]
        operands: list[Array | None] = [attrs.conv.op.reference(graph, attrs.conv, [inputs[0], *constants])]
        operands.insert(attrs.residual, inputs[1])
        return attrs.add.op.reference(graph, attrs.add, operands)

    def emit(self, graph: Graph, node: Node, printer: CallPrinter) -> None:
        raise AssertionError("it is made only where a class has a kernel for it")


FUSED_ADD = FusedAdd()


def fused_add(graph: Graph, conv: Node, add: Node) -> Node | None:
    """The node of both; None unless ADD adds another tensor to the convolution's output and nobody else reads that."""
    made = conv.outputs[0]
    if conv.op.name != "CONV_2D" or add.op.name != "ADD" or add.inputs.count(made) != 1:
        return None
    residual = add.inputs[1 - add.inputs.index(made)]
    if residual is None or graph.tensors[residual].data is not None:
        return None
    if made in graph.results or any(made in node.inputs for node in graph.nodes if node is not add):
        return None
    return Node(conv.index, FUSED_ADD, FusedAddAttrs(conv, add), (conv.inputs[0], residual), add.outputs)
