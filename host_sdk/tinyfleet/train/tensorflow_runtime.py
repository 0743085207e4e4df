"""TensorFlow, loaded late, quiet and with an error that names what to install."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Iterator
from typing import Any

from tinyfleet_codegen.errors import SetupError


@contextlib.contextmanager
def native_stdout_to_stderr() -> Iterator[None]:
    """Send everything that Python or C code writes to file descriptor 1 to stderr meanwhile."""
    sys.stdout.flush()
    saved = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(saved, 1)
        os.close(saved)


def import_tensorflow() -> tuple[Any, Any]:
    """``(tensorflow, keras)``; takes seconds the first time.

    Raises:
        SetupError: they are not installed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # its kernels make training depend on the number of threads
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    try:
        # In this order: keras alone would begin to load, fail half-way, and leave its first half behind.
        tensorflow = importlib.import_module("tensorflow")
        keras = importlib.import_module("keras")
    except ImportError as error:
        raise SetupError(
            f"training and quantization need TensorFlow: {error}", hint="install the extra: pip install 'tinyfleet[train]'"
        ) from error
    return tensorflow, keras
