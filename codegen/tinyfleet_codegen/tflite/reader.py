"""A .tflite file to a :class:`Graph`. Schema: ``tensorflow/compiler/mlir/lite/schema/schema.fbs``, version 3.

Field numbers below are positions of fields in that schema's tables.
"""

from __future__ import annotations

import math

import numpy as np

from tinyfleet_codegen.errors import FormatError, QuantError, ShapeError, UnsupportedOp
from tinyfleet_codegen.ir import NUMPY_DTYPES, Graph, Node, Quantization, Tensor
from tinyfleet_codegen.ir_check import check_graph
from tinyfleet_codegen.op import Array
from tinyfleet_codegen.ops import OPS
from tinyfleet_codegen.tflite.flatbuffer import Table, root_table
from tinyfleet_codegen.tflite.float_islands import resolve_float_islands
from tinyfleet_codegen.tflite.operator_names import OPERATOR_NAMES
from tinyfleet_codegen.tflite.variables import resolve_variables
from tinyfleet_codegen.wire.ids import DType

SCHEMA_VERSION = 3
MAX_TENSOR_ELEMENTS = 2**28
"""Larger tensors are refused before anything is allocated; no microcontroller holds them."""

_RESOURCE = 13
_DTYPE_NAMES = {1: "float16", 5: "string", 8: "complex64", 10: "float64", 17: "int4"}


def read_tflite(data: bytes, name: str) -> Graph:
    """Read and check a model.

    Args:
        data: The file's bytes, from anywhere; hostile bytes are refused, not trusted.
        name: What to call the model, for example the file's stem.

    Returns:
        A graph in which every node is supported and every shape, type and scale has been checked.

    Raises:
        FormatError: not a .tflite file, truncated or damaged.
        UnsupportedOp, ShapeError, QuantError: see :mod:`tinyfleet_codegen.errors`.
    """
    model = root_table(data, b"TFL3", f"model '{name}'")
    version = model.u32(0)
    if version != SCHEMA_VERSION:
        raise FormatError(f"model has schema version {version}, supported is {SCHEMA_VERSION}")
    operator_codes = model.tables(1, _read_operator_code, "operator code")
    subgraphs = model.tables(2, lambda table: table, "subgraph")
    if not subgraphs:
        raise FormatError("model has no subgraph")
    buffers = model.tables(4, _read_buffer, "buffer")

    def read_subgraph(index: int) -> tuple[list[Tensor], list[Node]]:
        if not 0 <= index < len(subgraphs):
            raise FormatError(f"model has {len(subgraphs)} subgraphs, one of its operators names number {index}")
        tensors = subgraphs[index].tables(0, lambda table: _read_tensor(table, buffers), "tensor")
        operators = subgraphs[index].tables(3, lambda table: table, "operator")
        return tensors, [node for i, table in enumerate(operators) for node in _read_nodes(i, table, operator_codes, len(tensors))]

    own_variables = [i for i, is_own in enumerate(subgraphs[0].tables(0, lambda table: table.u8(5), "tensor")) if is_own]
    main = resolve_variables(*read_subgraph(0), own_variables, read_subgraph)
    inputs, outputs = subgraphs[0].ints(1), subgraphs[0].ints(2)
    nodes = resolve_float_islands(main.tensors, main.nodes, (*outputs, *(state.next for state in main.states)))
    graph = Graph(name, main.tensors, nodes, inputs, outputs, main.states)
    check_graph(graph)
    return graph


def _read_operator_code(table: Table) -> tuple[int, str]:
    # Codes above 127 do not fit the old field, which then holds 127.
    return max(table.i8(0), table.i32(3)), table.string(1)


def _read_buffer(table: Table) -> bytes:
    if table.u64(1) > 1:
        raise UnsupportedOp(f"{table.what} lies outside the flatbuffer (a file over 2 GB)")
    return table.array(0, "u1").tobytes()


def _read_tensor(table: Table, buffers: list[bytes]) -> Tensor:
    name = table.string(3) or table.what
    shape = table.ints(0)
    if any(d < 0 for d in shape) or math.prod(shape) > MAX_TENSOR_ELEMENTS:
        raise ShapeError(f"tensor '{name}' has shape {list(shape)}, sizes must be >= 0 and at most {MAX_TENSOR_ELEMENTS} elements")
    code = table.i8(1)
    if code == _RESOURCE:
        # The handle of a variable: it has no value, and is gone when variables are resolved.
        return Tensor(name, (), DType.INT32)
    try:
        dtype = DType(code)
    except ValueError:
        raise UnsupportedOp(f"tensor '{name}' has type {_DTYPE_NAMES.get(code, code)}, which is not supported") from None
    if table.table(6, "sparsity") is not None:
        raise UnsupportedOp(f"tensor '{name}' is stored sparse", hint="convert the model without sparse weights")
    buffer_id = table.u32(2)
    if buffer_id >= len(buffers):
        raise FormatError(f"tensor '{name}' names buffer {buffer_id} of {len(buffers)}")
    quantization = table.table(4, f"quantization of '{name}'")
    quant = None if quantization is None else _read_quantization(quantization, name, shape, dtype)
    return Tensor(name, shape, dtype, quant, _constant(buffers[buffer_id], name, shape, dtype))


def _constant(raw: bytes, name: str, shape: tuple[int, ...], dtype: DType) -> Array | None:
    if not raw:
        return None
    layout = np.dtype(NUMPY_DTYPES[dtype]).newbyteorder("<")
    if len(raw) != math.prod(shape) * layout.itemsize:
        raise FormatError(f"tensor '{name}' of shape {list(shape)} and type {dtype.name.lower()} has {len(raw)} bytes of data")
    values: Array = np.frombuffer(raw, layout).reshape(shape)
    return values


def _read_quantization(table: Table, name: str, shape: tuple[int, ...], dtype: DType) -> Quantization | None:
    scales = tuple(float(v) for v in table.array(2, "<f4"))
    zero_points = tuple(int(v) for v in table.array(3, "<i8"))
    if not scales:
        return None
    if not zero_points:
        zero_points = (0,) * len(scales)
    if len(zero_points) not in (1, len(scales)):
        raise QuantError(f"tensor '{name}' has {len(scales)} scales and {len(zero_points)} zero points")
    if any(not (math.isfinite(s) and s > 0) for s in scales):
        raise QuantError(f"tensor '{name}' has a scale that is not finite and positive")
    limits = np.iinfo(NUMPY_DTYPES[dtype]) if dtype in (DType.INT8, DType.UINT8, DType.INT16, DType.INT32) else None
    if limits is not None and any(not limits.min <= z <= limits.max for z in zero_points):
        raise QuantError(f"tensor '{name}' has a zero point outside {dtype.name.lower()}: {zero_points[0]}")
    if len(scales) == 1:
        return Quantization(scales, zero_points[:1])
    # A bias vector has one axis only, whatever its file says (old converters wrote the weights' axis).
    axis = 0 if len(shape) == 1 else table.i32(6)
    if not 0 <= axis < len(shape) or shape[axis] != len(scales):
        raise QuantError(f"tensor '{name}' of shape {list(shape)} has {len(scales)} scales along axis {axis}")
    return Quantization(scales, zero_points if len(zero_points) == len(scales) else zero_points * len(scales), axis)


def _read_nodes(index: int, table: Table, operator_codes: list[tuple[int, str]], tensor_count: int) -> list[Node]:
    opcode_index = table.u32(0)
    if opcode_index >= len(operator_codes):
        raise FormatError(f"op {index} names operator code {opcode_index} of {len(operator_codes)}")
    code, custom_name = operator_codes[opcode_index]
    name = OPERATOR_NAMES[code] if 0 <= code < len(OPERATOR_NAMES) else f"code {code}"
    op = OPS.get(name)
    if op is None:
        shown = f"{name} '{custom_name}'" if custom_name else name
        raise UnsupportedOp(f"op {index} ({shown}) is not supported", hint=f"supported ops: {', '.join(sorted(OPS))}")
    inputs, outputs = table.ints(1), table.ints(2)
    for tensor_id in (*inputs, *outputs):
        if not -1 <= tensor_id < tensor_count:
            raise FormatError(f"op {index} ({name}) names tensor {tensor_id} of {tensor_count}")
    if -1 in outputs:
        raise FormatError(f"op {index} ({name}) has an absent output")
    attrs = op.read_attrs(table.table(4, f"options of op {index} ({name})"))
    least, most = op.output_count
    if not least <= len(outputs) <= most:
        raise ShapeError(f"op {index} ({name}) has {len(outputs)} outputs, expected {least} to {most}")
    present = op.arrange_inputs(tuple(None if i == -1 else i for i in inputs))
    if not outputs:
        return [Node(index, op, attrs, present, ())]
    return [Node(index, op, attrs, present, (output,), part, len(outputs)) for part, output in enumerate(outputs)]
