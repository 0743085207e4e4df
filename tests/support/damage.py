"""Model files damaged in ways that get past the first checks: bytes, and fields of a file that is written anew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np

from tests.support.tflite_builder import schema

BYTES = (0, 1, 2, 4, 127, 128, 254, 255)
WORDS = (0, 1, 2**15, 2**16, 2**31 - 1, 2**31, 2**32 - 4, 2**32 - 1)
SIZES = (-(2**31), -2, -1, 0, 1, 2, 3, 5, 127, 128, 255, 256, 4096, 65535, 65536, 2**20, 2**28, 2**28 + 1, 2**30, 2**31 - 1)
SCALES = (0.0, -1.0, 1e-45, 1e-38, 1e-9, 0.5, 1.0, 1e9, 3e38, float("inf"), float("nan"))


def damage_bytes(data: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    """One to six changes of bytes, words or ranges; ``other`` is another file to take pieces from."""
    result = bytearray(data)
    for _ in range(int(rng.integers(1, 7))):
        if not result:
            break
        at = int(rng.integers(len(result)))
        length = int(rng.integers(1, 1 + min(64, len(result) - at)))
        match int(rng.integers(7)):
            case 0:
                result[at] ^= 1 << int(rng.integers(8))
            case 1:
                result[at] = int(rng.choice(BYTES))
            case 2:
                word = at & ~3
                result[word : word + 4] = int(rng.choice(WORDS)).to_bytes(4, "little")
            case 3:
                # A small change of an offset or a size.
                word = at & ~3
                value = int.from_bytes(result[word : word + 4], "little") + int(rng.integers(-8, 9))
                result[word : word + 4] = (value % 2**32).to_bytes(4, "little")
            case 4:
                del result[at : at + length]
            case 5:
                result[at:at] = result[at : at + length]
            case _:
                source = int(rng.integers(max(1, len(other) - length)))
                result[at : at + length] = other[source : source + length]
    return bytes(result)


def damage_fields(data: bytes, rng: np.random.Generator) -> bytes:
    """One to four changes of fields, the file written anew: it is a good flatbuffer of a bad model."""
    model = schema.ModelT.InitFromPackedBuf(data, 0)
    for _ in range(int(rng.integers(1, 5))):
        _damage_field(model, rng)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _any_of(items: Any, rng: np.random.Generator) -> Any:
    return items[int(rng.integers(len(items)))]


def _changed(values: Any, choices: Sequence[float], rng: np.random.Generator) -> list[Any]:
    """A vector with one item changed, removed or added."""
    items = [] if values is None else np.asarray(values).tolist()
    value, kind = _any_of(choices, rng), int(rng.integers(3)) if items else 2
    position = int(rng.integers(len(items))) if items else 0
    if kind == 0:
        items[position] = value
    elif kind == 1:
        del items[position]
    else:
        items.insert(position, value)
    return items


def _damage_field(model: Any, rng: np.random.Generator) -> None:
    graph = _any_of(model.subgraphs, rng)
    ids = (*range(-2, len(graph.tensors) + 1), 2**31 - 1)
    kind = rng.random()
    if kind < 0.5:
        _damage_tensor(_any_of(graph.tensors, rng), len(model.buffers), rng)
    elif kind < 0.6:
        buffer = _any_of(model.buffers, rng)
        if buffer.data is not None and len(buffer.data):
            content = np.array(buffer.data, np.uint8)
            content[int(rng.integers(len(content)))] = int(rng.choice(BYTES))
            buffer.data = content[: int(rng.integers(len(content) + 1))] if rng.random() < 0.2 else content
    elif kind < 0.93 and graph.operators:
        _damage_operator(_any_of(graph.operators, rng), model, ids, rng)
    elif kind < 0.96:
        graph.inputs = _changed(graph.inputs, ids, rng)
    else:
        graph.outputs = _changed(graph.outputs, ids, rng)


def _damage_tensor(tensor: Any, buffers: int, rng: np.random.Generator) -> None:
    quant = tensor.quantization
    match int(rng.integers(8 if quant is not None else 4)):
        case 0 | 1:
            tensor.shape = _changed(tensor.shape, SIZES, rng)
        case 2:
            tensor.type = int(rng.integers(0, 20))
        case 3:
            tensor.buffer = int(rng.integers(0, buffers + 1))
        case 4 | 5:
            quant.scale = _changed(quant.scale, SCALES, rng)
        case 6:
            quant.zeroPoint = _changed(quant.zeroPoint, SIZES, rng)
        case _:
            quant.quantizedDimension = int(rng.choice(SIZES))


def _damage_operator(operator: Any, model: Any, ids: Sequence[int], rng: np.random.Generator) -> None:
    match int(rng.integers(4)):
        case 0:
            operator.inputs = _changed(operator.inputs, ids, rng)
        case 1:
            operator.outputs = _changed(operator.outputs, ids, rng)
        case 2:
            operator.opcodeIndex = int(rng.integers(0, len(model.operatorCodes) + 1))
            code = _any_of(model.operatorCodes, rng)
            code.builtinCode = int(rng.integers(0, 160))
            code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        case _:
            options = operator.builtinOptions
            fields = [] if options is None else [name for name, value in vars(options).items() if type(value) in (int, float)]
            if fields:
                setattr(options, _any_of(fields, rng), _any_of((0, 1, 2, 3, 4, 5, 100, 127, -1, 2**31 - 1), rng))


def damage(corpus: list[bytes], rng: np.random.Generator) -> bytes:
    """A damaged file; a few in a hundred are damaged twice over, in fields and then in bytes."""
    data = corpus[int(rng.integers(len(corpus)))]
    kind = rng.random()
    if kind < 0.55:
        try:
            data = damage_fields(data, rng)
        except (OverflowError, ValueError, TypeError, ArithmeticError):
            kind = 1.0  # a value that the field cannot hold
    if kind >= 0.5:
        data = damage_bytes(data, corpus[int(rng.integers(len(corpus)))], rng)
    return data
