"""Float ops between DEQUANTIZE and QUANTIZE: what becomes a table, what is refused by name."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.float_case import float_case
from tests.support.tflite_builder import TfliteBuilder
from tinyfleet_codegen.compile import compile_graph
from tinyfleet_codegen.errors import UnsupportedOp
from tinyfleet_codegen.package import ModelPackage
from tinyfleet_codegen.reference import run_sequence
from tinyfleet_codegen.tflite.reader import read_tflite
from tinyfleet_codegen.wire.ids import DType


def test_a_chain_becomes_one_lookup() -> None:
    model = compile_graph(ModelPackage("chain", float_case("chain", "NEG", ("ADD", 1.0), "ELU").tflite), None)
    assert [layer.kernel for layer in model.layers] == ["tyf_lookup_s8"]


def test_what_no_int8_can_hold_saturates() -> None:
    case = float_case("huge", "EXP", "EXP", scales=(0.5, 0.1), zero_points=(0, 3))
    x = np.array([[-128, 0, 127] + [0] * 497], np.int8)
    assert run_sequence(read_tflite(case.tflite, "huge"), x)[0, :3].tolist() == [13, 30, 127]


def island(op: str, *, float_output: bool = False, vector: bool = False) -> bytes:
    b = TfliteBuilder()
    x = b.tensor((1, 4), scale=0.1)
    a, f = b.tensor((1, 4), DType.FLOAT32), b.tensor((1, 4), DType.FLOAT32)
    y = b.tensor((1, 4), scale=0.1)
    b.op("DEQUANTIZE", [x], [a])
    b.op(op, [a, b.tensor((4,), DType.FLOAT32, data=[1, 2, 3, 4])] if vector else [a], [f])
    b.op("QUANTIZE", [f], [y])
    return b.build([x], [f if float_output else y])


@pytest.mark.parametrize(
    ("tflite", "words"),
    [
        (island("NEG", float_output=True), r"op 1 \(NEG\): float32 is supported only in elementwise ops between"),
        (island("ADD", vector=True), r"op 1 \(ADD\): input 'tensor_1' is float32"),
        (island("SOFTMAX"), r"op 1 \(SOFTMAX\): input 'tensor_1' is float32"),
        (island("COS"), r"op 1 \(COS\) is not supported"),
    ],
)
def test_other_float_ops_are_refused_by_name(tflite: bytes, words: str) -> None:
    with pytest.raises(UnsupportedOp, match=words):
        read_tflite(tflite, "m")


def test_an_op_that_is_float_only_is_refused_in_int8() -> None:
    b = TfliteBuilder()
    x, y = b.tensor((1, 4), scale=0.1), b.tensor((1, 4), scale=0.1)
    b.op("NEG", [x], [y])
    with pytest.raises(UnsupportedOp, match=r"op 0 \(NEG\) is supported only in float32 between"):
        read_tflite(b.build([x], [y]), "m")
