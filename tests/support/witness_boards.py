"""Boards that say what they make: test builds with ``TYF_CFG_WITNESS`` and a small ring."""

from __future__ import annotations

from pathlib import Path

from tests.support.small_models import dense_package
from tinyfleet_codegen.compile import compile_model
from tinyfleet_codegen.wire.record import HEADER_BYTES

MODEL = dense_package("witnessed", 1)
OUTPUT_BYTES = 5


def witness_model_dir(folder: Path, board: str, *, ring_bytes: int = 65536) -> Path:
    """The folder of a test build with a witness; see :func:`ring_records`."""
    compile_model(MODEL, board, folder)
    (folder / "model_config.h").write_text(f"#define TYF_CFG_WITNESS 1\n#define TYF_CFG_TELEMETRY_BYTES {ring_bytes}\n", encoding="utf-8")
    return folder


def ring_records(ring_bytes: int = 65536) -> int:
    """Records that its ring holds at most."""
    return ring_bytes // (HEADER_BYTES + OUTPUT_BYTES)
