"""Run a graph in NumPy, exactly, node by node."""

from __future__ import annotations

from tinyfleet_codegen.ir import NUMPY_DTYPES, Graph
from tinyfleet_codegen.op import Array


def run_layers(graph: Graph, value: Array) -> list[Array]:
    """The output of every node, in order, for one input of the model's shape and type."""
    source = graph.tensors[graph.inputs[0]]
    assert value.shape == source.shape and value.dtype == NUMPY_DTYPES[source.dtype], (value.shape, value.dtype)
    values: dict[int, Array] = {i: t.data for i, t in enumerate(graph.tensors) if t.data is not None}
    values[graph.inputs[0]] = value
    layers = []
    for node in graph.nodes:
        result = node.op.reference(graph, node, [None if i is None else values[i] for i in node.inputs])
        tensor = graph.tensors[node.outputs[0]]
        assert result.shape == tensor.shape and result.dtype == NUMPY_DTYPES[tensor.dtype], (node.label, result.shape, result.dtype)
        values[node.outputs[0]] = result
        layers.append(result)
    return layers
