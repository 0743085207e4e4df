"""Int16 activations: what is refused and with which words, that no int8 kernel or pass takes them, and whole models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.converted_models import INT16, convert
from tests.support.op_cases import OpCase, all_cases
from tests.support.op_cases.conv2d import conv_case
from tests.support.op_cases.depthwise_conv2d import depthwise_case
from tests.support.op_cases.fully_connected import dense_case
from tests.support.tflite_builder import TfliteBuilder
from tinyfleet.cases import Cases
from tinyfleet.engine import BlobModel, HostModel
from tinyfleet.oracle import open_oracle
from tinyfleet.verify import HostRunner, compare
from tinyfleet_codegen.compile import compile_graph
from tinyfleet_codegen.emit.blob import print_blob
from tinyfleet_codegen.errors import CompileError, QuantError, UnsupportedOp
from tinyfleet_codegen.firmware_tree import HOST_CLASS
from tinyfleet_codegen.ops import OPS
from tinyfleet_codegen.package import ModelPackage
from tinyfleet_codegen.softmax_tables import EXP_TABLE
from tinyfleet_codegen.target import load_target
from tinyfleet_codegen.tflite.reader import read_tflite
from tinyfleet_codegen.wire.ids import DType

CASES = [case for cases in all_cases().values() for case in cases if "_s16" in case.name]


def unary(op: str, *, scales: tuple[float, float] = (0.01, 0.01), zero_points: tuple[int, int] = (0, 0), **options: Any) -> bytes:
    b = TfliteBuilder()
    x = b.tensor((1, 4, 4, 2), DType.INT16, scale=scales[0], zero_point=zero_points[0], name="x")
    y = b.tensor((1, 4, 4, 2), DType.INT16, scale=scales[1], zero_point=zero_points[1], name="y")
    b.op(op, [x], [y], **options)
    return b.build([x], [y])


def with_constant(op: str, output: DType = DType.INT16) -> bytes:
    b = TfliteBuilder()
    x = b.tensor((1, 8), DType.INT16, scale=0.01, name="x")
    c = b.tensor((1, 8), DType.INT16, scale=0.01, data=np.arange(8))
    y = b.tensor((1, 8), output, **({} if output is DType.BOOL else {"scale": 0.01}))
    b.op(op, [x, c], [y])
    return b.build([x], [y])


def with_ints(op: str, after: tuple[int, ...], *constants: Any, dtype: DType = DType.INT16, **options: Any) -> bytes:
    b = TfliteBuilder()
    x = b.tensor((1, 4, 4, 2), DType.INT16, scale=0.01, name="x")
    quant: Any = {} if dtype is DType.INT32 else {"scale": 0.01}
    y = b.tensor(after, dtype, **quant)
    row = b.tensor((1, int(np.prod(after))), dtype, **quant)
    b.op(op, [x, *(b.tensor(np.shape(c), DType.INT32, data=c) for c in constants)], [y], **options)
    b.op("RESHAPE", [y], [row])
    return b.build([x], [row])


REFUSED = {
    "HARD_SWISH": unary("HARD_SWISH"),
    "ELU": unary("ELU"),
    "RSQRT": unary("RSQRT"),
    "PRELU": with_constant("PRELU"),
    "EQUAL": with_constant("EQUAL", DType.BOOL),
    "LESS": with_constant("LESS", DType.BOOL),
    "GREATER": with_constant("GREATER", DType.BOOL),
    "REDUCE_MAX": with_ints("REDUCE_MAX", (1, 2), [1, 2]),
    "GATHER": with_ints("GATHER", (1, 2, 4, 2), [0, 3], axis=1),
    "ARG_MAX": with_ints("ARG_MAX", (1, 4, 4), 3, dtype=DType.INT32),
    "RESIZE_BILINEAR": with_ints("RESIZE_BILINEAR", (1, 8, 8, 2), [8, 8]),
    "SPACE_TO_BATCH_ND": with_ints("SPACE_TO_BATCH_ND", (4, 2, 2, 2), [2, 2], [[0, 0], [0, 0]]),
    "BATCH_TO_SPACE_ND": with_ints("BATCH_TO_SPACE_ND", (1, 4, 4, 2), [1, 1], [[0, 0], [0, 0]]),
}


def test_ops_that_claim_int16_have_cases() -> None:
    with_cases = {op for op, cases in all_cases().items() if any("_s16" in case.name for case in cases)}
    assert with_cases == {name for name, op in OPS.items() if op.has_int16}
    assert not set(REFUSED) & with_cases


@pytest.mark.parametrize("op", REFUSED)
def test_an_op_without_int16_kernel_is_refused_by_name(op: str) -> None:
    with pytest.raises(UnsupportedOp, match=rf"op 0 \({op}\).*int16"):
        read_tflite(REFUSED[op], "m")


@pytest.mark.parametrize(
    ("case", "error", "words"),
    [
        (conv_case("zero_point", dtype=DType.INT16, bias_dtype=DType.INT64), QuantError, "int16 with zero point 3, supported is 0"),
        (conv_case("large", dtype=DType.INT16, bias=False, zero_points=(0, 0), scales=(8.0, 8.0, 0.01)), QuantError, "a left shift of"),
        (
            dense_case("bias16", dtype=DType.INT16, bias_dtype=DType.INT16, zero_points=(0, 0)),
            UnsupportedOp,
            "is int16, supported is int64",
        ),
        (OpCase("float", unary("TANH", scales=(0.01, 0.01))), QuantError, "output must have scale"),
        (OpCase("steep", unary("SOFTMAX", scales=(9.0, 1 / 32768), beta=1.0)), QuantError, "is too large"),
    ],
    ids=lambda value: value.name if isinstance(value, OpCase) else "",
)
def test_what_the_kernels_cannot_do_is_refused(case: OpCase, error: type[CompileError], words: str) -> None:
    with pytest.raises(error, match=words):
        read_tflite(case.tflite, case.name)


def test_an_int32_bias_is_refused_where_the_oracle_reads_beyond_it() -> None:
    b = TfliteBuilder()
    x = b.tensor((1, 4, 4, 2), DType.INT16, scale=0.01)
    k = b.tensor((1, 3, 3, 2), scale=0.01, data=np.ones((1, 3, 3, 2)))
    bias = b.tensor((2,), DType.INT32, scale=0.0001, data=[1, 2], name="bias")
    y = b.tensor((1, 4, 4, 2), DType.INT16, scale=0.01)
    b.op("DEPTHWISE_CONV_2D", [x, k, bias], [y], strideH=1, strideW=1, depthMultiplier=1)
    with pytest.raises(UnsupportedOp, match=r"op 0 \(DEPTHWISE_CONV_2D\): bias 'bias' is int32, supported is int64") as refused:
        read_tflite(b.build([x], [y]), "m")
    assert "int64 biases" in str(refused.value.hint)


@pytest.mark.parametrize("board", ["mps2_an386", "mps2_an385_v6m", "mps3_an547"])
def test_no_kernel_for_int8_takes_int16(board: str) -> None:
    for case in CASES:
        model = compile_graph(ModelPackage(case.name, case.tflite), load_target(board))
        for node, layer in zip(model.graph.nodes, model.layers, strict=True):
            if node.op.name != "DEQUANTIZE" and model.graph.output_tensor(node).dtype is DType.INT16:
                assert not layer.kernel or "s8" not in layer.kernel or layer.kernel == "tyf_requantize_s8_s16", (case.name, layer.kernel)


def test_dead_channels_of_int16_stay() -> None:
    case = depthwise_case("dead", dtype=DType.INT16, zero_points=(0, 0), size=(5, 5, 8), dead=(0, 1, 2, 3, 4, 5))
    (node,) = compile_graph(ModelPackage("dead", case.tflite), None).graph.nodes
    assert node.op.name == "DEPTHWISE_CONV_2D"
    b = TfliteBuilder()
    x = b.tensor((1, 8), DType.INT16, scale=0.001)
    middle = b.tensor((1, 8), DType.INT16, scale=0.001)
    y = b.tensor((1, 8), DType.INT16, scale=0.001)
    for source, target in ((x, middle), (middle, y)):
        weights = np.ones((8, 8))
        weights[2:] = 0
        b.op("FULLY_CONNECTED", [source, b.tensor((8, 8), scale=0.01, data=weights)], [target])
    model = compile_graph(ModelPackage("dense", b.build([x], [y])), None)
    assert [model.graph.output_tensor(node).shape for node in model.graph.nodes] == [(1, 8), (1, 8)]


def test_every_difference_in_softmax_equals_the_oracle() -> None:
    from tflite_micro.python.tflite_micro import runtime  # noqa: PLC0415

    b = TfliteBuilder()
    rows = 1 << 15
    x = b.tensor((1, rows, 2), DType.INT16, scale=10.0 / 65535.0)
    y = b.tensor((1, rows, 2), DType.INT16, scale=1.0 / 32768.0)
    b.op("SOFTMAX", [x], [y], beta=1.0)
    tflite = b.build([x], [y])
    graph = read_tflite(tflite, "softmax")
    interpreter = runtime.Interpreter.from_bytes(tflite, arena_size=1 << 20)
    for largest in (32767, 0):
        # The other value of each row lies at every even or odd distance below the largest one, as far as int16 goes.
        others = largest - np.arange(rows) * (2 if largest else 1)
        values = np.stack([others, np.full(rows, largest)], axis=1)[None].astype(np.int16)
        interpreter.set_input(values, 0)
        interpreter.invoke()
        node = graph.nodes[0]
        np.testing.assert_array_equal(node.op.reference(graph, node, [values]), interpreter.get_output(0))
    assert (np.diff(EXP_TABLE) >= 0).all()


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("int16")
    convert(folder, *INT16)
    return folder


@pytest.mark.parametrize("name", INT16)
def test_every_layer_of_a_converted_model_equals_the_oracle(name: str, converted: Path) -> None:
    package = ModelPackage(name, (converted / f"{name}.tflite").read_bytes())
    model = compile_graph(package, None)
    assert sum("s16" in layer.kernel for layer in model.layers) >= 12
    oracle, cases = open_oracle(package.tflite, name), Cases(model, 7)
    result = compare(HostRunner(HostModel(package, compiled=model)), model, oracle, cases, count=20, per_layer=True)
    assert (result.checked, result.mismatches) == (20, 0), result.first_difference
    assert result.layers_compared == 20 * len(model.layers)
    outputs = BlobModel(print_blob(model.graph, model.plan, package, HOST_CLASS)).run(cases.inputs(0, 20))
    np.testing.assert_array_equal(outputs.reshape(-1), oracle.run(cases.inputs(0, 20)).reshape(-1))
