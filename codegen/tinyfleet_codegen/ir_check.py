"""What must hold of every graph, after reading and after each pass."""

from __future__ import annotations

from tinyfleet_codegen.errors import FormatError, QuantError, ShapeError, UnsupportedOp
from tinyfleet_codegen.ir import Graph
from tinyfleet_codegen.op import require_arity
from tinyfleet_codegen.wire.ids import DType

IO_DTYPES = (DType.INT8, DType.UINT8, DType.INT16, DType.FLOAT32)


def check_graph(graph: Graph) -> None:
    """Check order, single assignment, inputs, outputs and then each node by its op.

    Raises:
        FormatError: tensors are used before they are made, made twice, or do not exist.
        UnsupportedOp, ShapeError, QuantError: an input, an output or a node is not supported.
    """
    _check_ends(graph)
    for source in graph.sources:
        if graph.tensors[source].data is not None:
            raise FormatError(f"input or state '{graph.tensors[source].name}' is a constant")
    ready = {i for i, tensor in enumerate(graph.tensors) if tensor.data is not None} | set(graph.sources)
    for node in graph.nodes:
        require_arity(node)
        for tensor_id in node.inputs:
            if tensor_id is not None and tensor_id not in ready:
                raise FormatError(f"{node.label} reads tensor '{graph.tensors[tensor_id].name}' before anything writes it")
        for tensor_id in node.outputs:
            if tensor_id in ready:
                raise FormatError(f"{node.label} writes tensor '{graph.tensors[tensor_id].name}', which already has a value")
            ready.add(tensor_id)
        node.op.check(graph, node)
    for tensor_id in graph.results:
        if tensor_id not in ready:
            raise FormatError(f"output '{graph.tensors[tensor_id].name}' is never written")


def _check_ends(graph: Graph) -> None:
    for what, ids in (("input", graph.inputs), ("output", graph.outputs)):
        if any(not 0 <= i < len(graph.tensors) for i in ids):
            raise FormatError(f"the model's {what}s {list(ids)} name tensors outside 0..{len(graph.tensors) - 1}")
        if len(ids) != 1:
            raise UnsupportedOp(f"the model has {len(ids)} {what}s, supported is 1")
        tensor = graph.tensors[ids[0]]
        allowed = IO_DTYPES if what == "input" else (*IO_DTYPES, DType.INT32, DType.BOOL)
        if tensor.dtype not in allowed:
            names = ", ".join(d.name.lower() for d in allowed)
            raise UnsupportedOp(f"{what} '{tensor.name}' is {tensor.dtype.name.lower()}, supported are {names}")
        if tensor.data is not None:
            raise FormatError(f"{what} '{tensor.name}' is a constant")
        if not tensor.shape or tensor.shape[0] != 1:
            raise ShapeError(
                f"{what} '{tensor.name}' has shape {list(tensor.shape)}, supported is batch 1",
                hint="convert the model with a fixed batch of 1, for example keras.Input(batch_shape=(1, ...))",
            )
        if tensor.elements == 0:
            raise ShapeError(f"{what} '{tensor.name}' has no elements: shape {list(tensor.shape)}")
        if tensor.dtype not in (DType.FLOAT32, DType.INT32, DType.BOOL) and (tensor.quant is None or len(tensor.quant.scales) != 1):
            raise QuantError(f"{what} '{tensor.name}' has no scale and zero point")
