"""The .tflite reader: what it refuses, with which words, and that hostile bytes never do more than raise CompileError."""

from __future__ import annotations

import secrets

import flatbuffers
import numpy as np
import pytest

from tests.campaigns.campaign import Campaign
from tests.campaigns.fuzz_reader import MEMORY_BYTES, compile_hostile, fuzz_reader
from tests.support import standins
from tests.support.isolated import Isolated
from tests.support.op_cases import all_cases
from tests.support.tflite_builder import TfliteBuilder, schema
from tinyfleet_codegen.errors import CompileError, FormatError, QuantError, ShapeError, UnsupportedOp
from tinyfleet_codegen.geometry import Activation, activation_range
from tinyfleet_codegen.ir import Quantization, Tensor
from tinyfleet_codegen.tflite.reader import read_tflite
from tinyfleet_codegen.wire.ids import DType

CORPUS = [case.tflite for cases in all_cases().values() for case in cases]
SEED = 77


def simple_model(op: str = "RESHAPE", **changes: object) -> bytes:
    b = TfliteBuilder()
    x = b.tensor((1, 4), scale=0.1, name="x")
    y = b.tensor((1, 4), scale=0.1, name="y")
    b.op(op, [x], [y])
    for key, value in changes.items():
        setattr(b.tensors[x], key, value)
    return b.build([x], [y])


def test_unsupported_op_is_named_with_index_and_supported_ops() -> None:
    b = TfliteBuilder()
    x = b.tensor((1, 4), scale=0.1)
    y, z = b.tensor((1, 4), scale=0.1), b.tensor((1, 4), scale=0.1)
    b.op("RESHAPE", [x], [y])
    b.op("COS", [y], [z])
    with pytest.raises(UnsupportedOp, match=r"op 1 \(COS\) is not supported") as caught:
        read_tflite(b.build([x], [z]), "m")
    assert caught.value.hint is not None and "CONV_2D" in caught.value.hint and "SOFTMAX" in caught.value.hint


def test_float_weights_are_refused_with_a_hint() -> None:
    b = TfliteBuilder()
    x = b.tensor((1, 4), scale=0.1)
    w = b.tensor((2, 4), DType.FLOAT32, data=np.ones((2, 4)))
    y = b.tensor((1, 2), scale=0.1)
    b.op("FULLY_CONNECTED", [x, w], [y])
    with pytest.raises(UnsupportedOp, match=r"op 0 \(FULLY_CONNECTED\): weights .* is float32, supported is int8"):
        read_tflite(b.build([x], [y]), "m")


@pytest.mark.parametrize(
    ("data", "error", "words"),
    [
        (b"", FormatError, "not a TFL3 file"),
        (b"\x1c\x00\x00\x00TFL4" + bytes(40), FormatError, "identifier b'TFL4'"),
        (b"\xff\xff\xff\x7fTFL3" + bytes(40), FormatError, "outside the file"),
        (simple_model(shape=[2, 2]), ShapeError, "supported is batch 1"),
        (simple_model(shape=[1, -4]), ShapeError, "sizes must be >= 0"),
        (simple_model(shape=[1, 2**30]), ShapeError, "at most"),
        (simple_model(type=schema.TensorType.STRING), UnsupportedOp, "type string"),
        (simple_model(isVariable=True), UnsupportedOp, "variable"),
        (simple_model(buffer=99), FormatError, "names buffer 99 of"),
        (simple_model(quantization=None), QuantError, "no scale"),
    ],
)
def test_bad_models_are_refused_with_the_value(data: bytes, error: type[CompileError], words: str) -> None:
    with pytest.raises(error, match=words):
        read_tflite(data, "m")


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf")])
def test_impossible_scales_are_refused(scale: float) -> None:
    b = TfliteBuilder()
    x, y = b.tensor((1, 4), scale=scale), b.tensor((1, 4), scale=0.1)
    b.op("RESHAPE", [x], [y])
    with pytest.raises(QuantError, match="not finite and positive"):
        read_tflite(b.build([x], [y]), "m")


def test_a_bias_with_the_scale_of_something_else_is_refused() -> None:
    b = TfliteBuilder()
    x, w = b.tensor((1, 4), scale=0.1), b.tensor((2, 4), scale=0.1, data=np.ones((2, 4)))
    bias, y = b.tensor((2,), DType.INT32, scale=0.5, data=[1, 2]), b.tensor((1, 2), scale=0.1)
    b.op("FULLY_CONNECTED", [x, w, bias], [y])
    with pytest.raises(QuantError, match="bias"):
        read_tflite(b.build([x], [y]), "m")


def test_sums_that_leave_int32_are_refused() -> None:
    b = TfliteBuilder()
    x, w = b.tensor((1, 4), scale=0.1), b.tensor((1, 4), scale=0.1, data=np.full((1, 4), 127))
    bias, y = b.tensor((1,), DType.INT32, scale=0.01, data=[2**31 - 1000]), b.tensor((1, 1), scale=0.1)
    b.op("FULLY_CONNECTED", [x, w, bias], [y])
    with pytest.raises(QuantError, match="does not fit into int32"):
        read_tflite(b.build([x], [y]), "m")


def test_use_before_definition_is_refused() -> None:
    b = TfliteBuilder()
    x, y, z = (b.tensor((1, 4), scale=0.1) for _ in range(3))
    b.op("RESHAPE", [y], [z])
    b.op("RESHAPE", [x], [y])
    with pytest.raises(FormatError, match="before anything writes it"):
        read_tflite(b.build([x], [z]), "m")


def test_every_truncation_is_a_compile_error() -> None:
    data = CORPUS[0]
    for size in range(len(data) - 1):
        with pytest.raises(CompileError):
            read_tflite(data[:size], "m")


def test_truncated_real_size_model_is_a_compile_error() -> None:
    data = standins.kws()
    for size in np.linspace(0, len(data) - 1, 200).astype(int):
        with pytest.raises(CompileError):
            read_tflite(data[:size], "m")


@pytest.mark.parametrize("field", ["inputs", "outputs"])
def test_operators_that_lack_inputs_or_outputs_raise_only_compile_errors(field: str) -> None:
    # Operators on variables were looked into before their number of inputs was known: IndexError.
    for data in CORPUS[::2]:
        model = schema.ModelT.InitFromPackedBuf(data, 0)
        for operator in (operator for graph in model.subgraphs for operator in graph.operators):
            whole = getattr(operator, field)
            for shown in ([], whole[:-1], [-1] * len(whole)):
                setattr(operator, field, list(shown))
                builder = flatbuffers.Builder(1024)
                builder.Finish(model.Pack(builder), b"TFL3")
                compile_hostile(bytes(builder.Output()))
            setattr(operator, field, whole)


def test_a_scale_too_small_for_its_activation_is_refused() -> None:
    b = TfliteBuilder()
    x, y = b.tensor((1, 4), scale=1e-3), b.tensor((1, 4), scale=1e-43)
    b.op("ADD", [x, x], [y], fusedActivationFunction=3)
    with pytest.raises(QuantError, match=r"too small|too large"):
        read_tflite(b.build([x], [y]), "m")
    with pytest.raises(QuantError, match=r"too small for a fused activation up to 6\.0"):
        activation_range(Activation.RELU6, Tensor("t", (1, 4), DType.INT8, Quantization((1e-43,), (0,))))


def test_a_tensor_of_a_quarter_of_a_billion_takes_little_memory() -> None:
    # Something was noted of each channel, eight bytes each.
    b = TfliteBuilder()
    x, y = (b.tensor((1, 2**28), scale=0.1) for _ in range(2))
    b.op("RESHAPE", [x], [y])
    with Isolated(compile_hostile, timeout_s=60, memory_bytes=MEMORY_BYTES) as isolated:
        outcome = isolated.call(b.build([x], [y]))
    assert outcome.problem is None and outcome.result in ("compiled", "DoesNotFit")


def test_damaged_models_raise_only_compile_errors() -> None:
    # A hundred thousand in the campaign; here as many as fit into seconds, with their memory and time capped.
    campaign = Campaign("fuzz_reader", SEED + secrets.randbelow(2**30), 2, False)
    print(f"seed {campaign.seed}")
    fuzz_reader(campaign, 6000, None)
    assert campaign.findings == []
