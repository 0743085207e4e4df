"""Models of float ops between DEQUANTIZE and QUANTIZE of int8."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.support.op_cases import OpCase
from tests.support.tflite_builder import TfliteBuilder
from tinyfleet_codegen.wire.ids import DType

SHAPE = (1, 500)


def float_case(
    name: str,
    *ops: str | tuple[str, dict[str, Any]] | tuple[str, float] | tuple[str, Sequence[int]],
    scales: tuple[float, float] = (0.05, 0.05),
    zero_points: tuple[int, int] = (3, -5),
) -> OpCase:
    """Ops one after the other: a name; with options; with a scalar as second input; or with earlier values by number (0: the first)."""
    b = TfliteBuilder()
    x, y = b.tensor(SHAPE, scale=scales[0], zero_point=zero_points[0]), b.tensor(SHAPE, scale=scales[1], zero_point=zero_points[1])
    values = [b.tensor(SHAPE, DType.FLOAT32)]
    b.op("DEQUANTIZE", [x], [values[0]])
    for entry in ops:
        op, more = (entry, {}) if isinstance(entry, str) else entry
        output = b.tensor(SHAPE, DType.FLOAT32)
        if isinstance(more, float):
            b.op(op, [values[-1], b.tensor((), DType.FLOAT32, data=more)], [output])
        elif isinstance(more, dict):
            b.op(op, [values[-1]], [output], **more)
        else:
            b.op(op, [values[i] for i in more], [output])
        values.append(output)
    b.op("QUANTIZE", [values[-1]], [y])
    return OpCase(name, b.build([x], [y]))
