"""Run a graph in NumPy, exactly, node by node."""

from __future__ import annotations

import numpy as np

from tinyfleet_codegen.ir import NUMPY_DTYPES, Graph
from tinyfleet_codegen.op import Array


def run_layers(graph: Graph, value: Array, memory: dict[int, Array] | None = None) -> list[Array]:
    """The output of every node, in order, for one input of the model's shape and type.

    Args:
        memory: Values of states by their tensor; read, and replaced by the next ones. None: as after a reset.
    """
    source = graph.tensors[graph.inputs[0]]
    assert value.shape == source.shape and value.dtype == NUMPY_DTYPES[source.dtype], (value.shape, value.dtype)
    values: dict[int, Array] = {i: t.data for i, t in enumerate(graph.tensors) if t.data is not None}
    values[graph.inputs[0]] = value
    values |= initial_memory(graph) if memory is None else memory
    layers = []
    for node in graph.nodes:
        results = node.op.references(graph, node, [None if i is None else values[i] for i in node.inputs])
        for made, result in zip(node.outputs, results, strict=True):
            tensor = graph.tensors[made]
            assert result.shape == tensor.shape and result.dtype == NUMPY_DTYPES[tensor.dtype], (node.label, result.shape, result.dtype)
            values[made] = result
        layers.append(results[0])
    if memory is not None:
        memory.update({state.tensor: values[state.next] for state in graph.states})
    return layers


def initial_memory(graph: Graph) -> dict[int, Array]:
    """Values of the states after a reset, by their tensor."""
    return {state.tensor: state.initial for state in graph.states}


def run_sequence(graph: Graph, x: Array) -> Array:
    """Outputs ``[n, ...]`` of a batch, one inference after the other from a reset on."""
    position = next(i for i, node in enumerate(graph.nodes) if node.outputs[:1] == graph.outputs)
    memory = initial_memory(graph)
    return np.concatenate([run_layers(graph, x[i : i + 1], memory)[position] for i in range(len(x))])
