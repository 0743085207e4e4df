"""docs/spec/ops.md is what the op files say, and names every op that was promised."""

from __future__ import annotations

from pathlib import Path

from tinyfleet_codegen.ops import OPS
from tinyfleet_codegen.ops_table import render

PAGE = Path(__file__).parents[2] / "docs/spec/ops.md"

PROMISED = {
    "CONV_2D",
    "DEPTHWISE_CONV_2D",
    "FULLY_CONNECTED",
    "TRANSPOSE_CONV",
    "AVERAGE_POOL_2D",
    "MAX_POOL_2D",
    "MEAN",
    "SUM",
    "REDUCE_MAX",
    "ADD",
    "SUB",
    "MUL",
    "MINIMUM",
    "MAXIMUM",
    "SQUARED_DIFFERENCE",
    "PAD",
    "PADV2",
    "RESHAPE",
    "SQUEEZE",
    "EXPAND_DIMS",
    "TRANSPOSE",
    "CONCATENATION",
    "SPLIT",
    "SPLIT_V",
    "STRIDED_SLICE",
    "SLICE",
    "PACK",
    "UNPACK",
    "SHAPE",
    "RESIZE_BILINEAR",
    "RESIZE_NEAREST_NEIGHBOR",
    "SPACE_TO_BATCH_ND",
    "BATCH_TO_SPACE_ND",
    "SOFTMAX",
    "LOGISTIC",
    "TANH",
    "RELU",
    "RELU6",
    "LEAKY_RELU",
    "PRELU",
    "HARD_SWISH",
    "ELU",
    "RSQRT",
    "ABS",
    "NEG",
    "QUANTIZE",
    "DEQUANTIZE",
    "BATCH_MATMUL",
    "ARG_MAX",
    "GATHER",
    "EQUAL",
    "NOT_EQUAL",
    "GREATER",
    "GREATER_EQUAL",
    "LESS",
    "LESS_EQUAL",
    "SELECT_V2",
    "UNIDIRECTIONAL_SEQUENCE_LSTM",
    "SVDF",
    "CALL_ONCE",
    "VAR_HANDLE",
    "READ_VARIABLE",
    "ASSIGN_VARIABLE",
}
REFUSED = ("SELECT",)
"""Promised where models have it; the page must say why it is refused."""


def test_ops_page_is_fresh() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(), "run: python -m tinyfleet_codegen.ops_table > docs/spec/ops.md"


def test_every_promised_op_compiles_or_is_refused_in_words() -> None:
    assert not PROMISED - set(OPS)
    page = render()
    assert all(f"| {op} |" in page for op in PROMISED)
    for op in REFUSED:
        assert op not in OPS
        assert f"{op} is refused" in page
