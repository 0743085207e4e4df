"""Op cases as pieces of random models, so that every op comes up in them."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from tests.support.op_cases import all_cases
from tests.support.random_rules import MAX_BRIDGE_WEIGHTS, MAX_ELEMENTS, Rule, Site, Value, dense_to, pad_to, reshape_to
from tests.support.tflite_builder import schema
from tinyfleet_codegen.wire.ids import DType


@dataclass(frozen=True, slots=True)
class Piece:
    """A model of one op's cases that can stand inside another model: one input, one subgraph, no variables but an operator's own."""

    name: str
    op: str
    model: Any
    input_type: DType
    input_shape: tuple[int, ...]


@cache
def pieces() -> dict[str, tuple[Piece, ...]]:
    """The pieces of every op that has some, by op."""
    result: dict[str, list[Piece]] = {}
    for op, cases in all_cases().items():
        for case in cases:
            model = schema.ModelT.InitFromPackedBuf(case.tflite, 0)
            graph = model.subgraphs[0]
            if len(model.subgraphs) != 1 or len(graph.inputs) != 1 or any(t.type == schema.TensorType.RESOURCE for t in graph.tensors):
                continue
            source, output = graph.tensors[graph.inputs[0]], graph.tensors[graph.outputs[0]]
            # Only SELECT_V2 follows an index or a truth value, of at most four dimensions.
            if output.type in (schema.TensorType.INT32, schema.TensorType.BOOL) and not 1 <= len(output.shape) <= 4:
                continue
            if source.type not in set(DType) or np.prod(source.shape) > MAX_ELEMENTS:
                continue
            result.setdefault(op, []).append(Piece(case.name, op, model, DType(source.type), tuple(int(d) for d in source.shape)))
    return {op: tuple(found) for op, found in result.items()}


@cache
def _conversions() -> frozenset[tuple[DType, DType]]:
    """Pairs of types between which there is a conversion, with its cases as witnesses."""
    pairs = set()
    for op in ("QUANTIZE", "DEQUANTIZE"):
        for piece in pieces().get(op, ()):
            graph = piece.model.subgraphs[0]
            pairs.add((piece.input_type, DType(graph.tensors[graph.outputs[0]].type)))
    return frozenset(pairs)


def is_fed(piece: Piece) -> bool:
    """Whether int8 values can be brought to its type."""
    return piece.input_type is DType.INT8 or (DType.INT8, piece.input_type) in _conversions()


def convert(site: Site, source: Value, dtype: DType, scale: float, zero_point: int) -> Value | None:
    if dtype is source.dtype and (scale, zero_point) == (source.scale, source.zero_point):
        return source
    # A case of extreme scales is out of reach of a multiplier.
    if (source.dtype, dtype) not in _conversions() or (dtype is not DType.FLOAT32 and not source.scale < scale * 2**20):
        return None
    y = site.value(source.shape, scale, zero_point, dtype)
    site.builder.op("DEQUANTIZE" if dtype is DType.FLOAT32 else "QUANTIZE", [source.id], [y.id])
    return y


def to_int16(site: Site, source: Value) -> Value | None:
    """What follows is int16, until a rule that there is only in int8."""
    if source.dtype is DType.INT16:
        return None
    return convert(site, source, DType.INT16, site.scale(source.scale / 250), 0)


def piece_rule(op: str) -> Rule:
    """A case of the op, fed with the value after it has been brought to the case's shape, type and scale."""
    fitting = [p for p in pieces()[op] if is_fed(p)]

    def rule(site: Site, source: Value) -> Value | None:
        choice = fitting[site.pick(0, len(fitting) - 1)]
        graph = choice.model.subgraphs[0]
        wanted = graph.tensors[graph.inputs[0]]
        quant = wanted.quantization
        scale, zero_point = (
            (0.0, 0) if quant is None or quant.scale is None or not len(quant.scale) else (float(quant.scale[0]), int(quant.zeroPoint[0]))
        )
        elements = int(np.prod(choice.input_shape))
        mark = (len(site.builder.tensors), len(site.builder.buffers), len(site.builder.operators))
        fed = source
        if source.elements < elements and site.chance(0.5):
            fed = pad_to(site, source, elements)
        elif source.elements != elements:
            if source.elements * elements > MAX_BRIDGE_WEIGHTS:
                return None
            fed = dense_to(site, source, (1, elements), source.elements, scale or source.scale, 0)
        converted = convert(site, fed, choice.input_type, scale, zero_point)
        if converted is None:
            # Nothing of it stays: a conversion that is missing must not leave half a piece.
            for kept, items in zip(mark, (site.builder.tensors, site.builder.buffers, site.builder.operators), strict=True):
                del items[kept:]
            return None
        return _splice(
            site, choice.model, converted if converted.shape == choice.input_shape else reshape_to(site, converted, choice.input_shape)
        )

    return rule


def _splice(site: Site, model: Any, fed: Value) -> Value | None:
    """Copy the tensors and operators of a model, its input replaced; the value of its first output."""
    graph, builder = model.subgraphs[0], site.builder
    ids = {-1: -1, int(graph.inputs[0]): fed.id}
    for i, tensor in enumerate(graph.tensors):
        if i in ids:
            continue
        copied = copy.deepcopy(tensor)
        data = model.buffers[tensor.buffer].data
        copied.buffer = 0
        if data is not None and len(data):
            copied.buffer = len(builder.buffers)
            builder.buffers.append(copy.deepcopy(model.buffers[tensor.buffer]))
        copied.name = f"tensor_{len(builder.tensors)}"
        ids[i] = len(builder.tensors)
        builder.tensors.append(copied)
    for operator in graph.operators:
        entry = model.operatorCodes[operator.opcodeIndex]
        code = max(entry.builtinCode, entry.deprecatedBuiltinCode)
        if code not in builder.codes:
            builder.codes.append(code)
        copied = copy.deepcopy(operator)
        copied.opcodeIndex = builder.codes.index(code)
        copied.inputs = [ids[int(i)] for i in operator.inputs]
        copied.outputs = [ids[int(i)] for i in operator.outputs]
        builder.operators.append(copied)
    out = graph.tensors[graph.outputs[0]]
    quant = out.quantization
    has_quant = quant is not None and quant.scale is not None and len(quant.scale) > 0
    y = Value(
        ids[int(graph.outputs[0])],
        tuple(int(d) for d in out.shape),
        DType(out.type),
        float(quant.scale[0]) if has_quant else 0.0,
        int(quant.zeroPoint[0]) if has_quant else 0,
    )
    if y.dtype is DType.INT32:
        y = _is_index(site, y)
    if y.dtype is DType.BOOL:
        return _chosen(site, y)
    goes_on = y.dtype is DType.INT8 or (y.dtype is DType.INT16 and y.zero_point == 0)
    return y if goes_on else convert(site, y, DType.INT8, 0.05, 3) or y


def _is_index(site: Site, source: Value) -> Value:
    """Whether each index is a given one."""
    y = Value(site.builder.tensor(source.shape, DType.BOOL), source.shape, DType.BOOL, 0.0, 0)
    wanted = site.builder.tensor((1,), DType.INT32, data=[site.pick(0, 3)])
    site.builder.op(str(site.rng.choice(["EQUAL", "NOT_EQUAL", "GREATER", "LESS_EQUAL"])), [source.id, wanted], [y.id])
    return y


def _chosen(site: Site, source: Value) -> Value:
    """One of two constants, as the truth value says."""
    scale, zero_point = site.scale(0.05), site.zero_point()
    options = [site.constant(shape, scale, zero_point).id for shape in ((1,), source.shape)]
    y = site.value(source.shape, scale, zero_point)
    site.builder.op("SELECT_V2", [source.id, *(options[::-1] if site.chance(0.5) else options)], [y.id])
    return y
