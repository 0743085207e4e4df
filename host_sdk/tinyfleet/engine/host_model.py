"""A compiled model as a Python object."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cffi
import numpy as np
import numpy.typing as npt

from tinyfleet.engine.host_build import build_library
from tinyfleet_codegen.compile import compile_graph
from tinyfleet_codegen.compiled import CompiledModel, TensorInfo
from tinyfleet_codegen.errors import ShapeError
from tinyfleet_codegen.ir import NUMPY_DTYPES
from tinyfleet_codegen.package import ModelPackage
from tinyfleet_codegen.plan import ALIGNMENT

Array = npt.NDArray[Any]


class HostModel:
    """The C engine running one model on this machine. Not safe to share between threads: one arena.

    Args:
        package: The model; compiled and built when it is not in the cache.
        compiled: The same model, already compiled (for tests that change the generated C).

    Raises:
        CompileError, SetupError, BuildError: see :mod:`tinyfleet_codegen.errors`.
    """

    def __init__(self, package: ModelPackage, *, compiled: CompiledModel | None = None) -> None:
        self.compiled = compile_graph(package, None) if compiled is None else compiled
        self._ffi = cffi.FFI()
        self._ffi.cdef((Path(__file__).parent / "engine.h").read_text(encoding="utf-8"))
        self._lib: Any = self._ffi.dlopen(str(build_library(self.compiled)))
        memory = np.zeros(self.compiled.arena_bytes + ALIGNMENT, np.uint8)
        start = -memory.ctypes.data % ALIGNMENT
        self._arena = memory[start : start + self.compiled.arena_bytes]

    @property
    def input(self) -> TensorInfo:
        """Shape ``[1, ...]``, type and scale of the input."""
        return self.compiled.input

    @property
    def output(self) -> TensorInfo:
        """Shape ``[1, ...]``, type and scale of the output."""
        return self.compiled.output

    @property
    def model_id(self) -> bytes:
        """The id that the library carries, 32 bytes."""
        return bytes(self._ffi.buffer(self._lib.tyf_engine_model_id(), 32))

    def run(self, x: Array) -> Array:
        """Run a batch, one inference after the other; other Python threads run meanwhile.

        Args:
            x: ``[n, *input.shape[1:]]`` in the input's type.

        Returns:
            ``[n, *output.shape[1:]]`` in the output's type.

        Raises:
            ShapeError: shape or type do not fit.
        """
        inputs = self._as_inputs(x)
        outputs = np.empty((len(inputs), *self.output.shape[1:]), NUMPY_DTYPES[self.output.dtype])
        self._lib.tyf_engine_run(self._pointer(self._arena), self._pointer(inputs), self._pointer(outputs), len(inputs))
        return outputs

    def run_layers(self, x: Array) -> list[bytes]:
        """The bytes that each layer wrote, for one input ``[1, ...]``."""
        inputs = self._as_inputs(x)
        if len(inputs) != 1:
            raise ShapeError(f"layers are compared for one input, got {len(inputs)}")
        sizes = [self.compiled.graph.output_tensor(node).bytes for node in self.compiled.graph.nodes]
        packed = np.empty(sum(sizes), np.uint8)
        self._lib.tyf_engine_run_layers(self._pointer(self._arena), self._pointer(inputs), self._pointer(packed))
        ends = np.cumsum(sizes)
        return [packed[end - size : end].tobytes() for size, end in zip(sizes, ends, strict=True)]

    def seeded_input(self, seed: int, case: int) -> Array:
        """The input that a device makes from a seed, made by the C twin; shape ``[1, ...]``."""
        x = np.empty(self.input.shape, NUMPY_DTYPES[self.input.dtype])
        self._lib.tyf_engine_seeded_input(seed, case, self._pointer(x))
        return x

    def frontend(self, samples: npt.NDArray[np.int16]) -> npt.NDArray[np.int8]:
        """One window ``[window_samples, channels]`` through the C front end; int8 of the same shape."""
        frontend = self.compiled.package.frontend
        if frontend is None or samples.shape != (frontend.window_samples, frontend.channels) or samples.dtype != np.int16:
            raise ShapeError(f"samples {samples.dtype} {list(samples.shape)} are not one window of this model's front end")
        contiguous = np.ascontiguousarray(samples)
        result = np.empty(samples.shape, np.int8)
        self._lib.tyf_engine_frontend(self._ffi.cast("int16_t *", contiguous.ctypes.data), self._ffi.cast("int8_t *", result.ctypes.data))
        return result

    def _as_inputs(self, x: Array) -> Array:
        expected = NUMPY_DTYPES[self.input.dtype]
        if x.shape[1:] != self.input.shape[1:] or x.dtype != expected:
            raise ShapeError(f"input is {x.dtype} {list(x.shape)}, the model takes {np.dtype(expected)} [n, {list(self.input.shape[1:])}]")
        return np.ascontiguousarray(x)

    def _pointer(self, array: Array) -> Any:
        return self._ffi.cast("uint8_t *", array.ctypes.data)
