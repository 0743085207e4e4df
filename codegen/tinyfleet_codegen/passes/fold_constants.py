"""Compute at build time what does not depend on the input."""

from __future__ import annotations

from dataclasses import replace

from tinyfleet_codegen.ir import Graph

MAX_FOLDED_BYTES = 65536
"""A larger result costs more flash than computing it saves."""
MAX_FOLDED_MACS = 10_000_000
"""Bounds the compile time that a hostile model can ask for."""


def fold_constants(graph: Graph) -> Graph:
    """Replace nodes of constants only, or of shapes only, by their reference result.

    Nodes that make a model output, or what a state becomes, stay.
    """
    tensors = list(graph.tensors)
    kept = []
    for node in graph.nodes:
        inputs = [None if i is None else tensors[i].data for i in node.inputs]
        is_constant = not node.op.reads_values or all(i is None or tensors[i].data is not None for i in node.inputs)
        output = tensors[node.outputs[0]]
        # What the op sees must include constants folded before it.
        current = replace(graph, tensors=tuple(tensors))
        if (
            is_constant
            and node.outputs[0] not in graph.results
            and output.bytes <= MAX_FOLDED_BYTES
            and node.op.macs(current, node) <= MAX_FOLDED_MACS
        ):
            tensors[node.outputs[0]] = replace(output, data=node.op.reference(current, node, inputs))
        else:
            kept.append(node)
    return replace(graph, tensors=tuple(tensors), nodes=tuple(kept))
