"""A compiled model as a Python object."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tinyfleet.engine.engine import Array, Engine, aligned
from tinyfleet.engine.host_build import build_library
from tinyfleet_codegen.compile import compile_graph
from tinyfleet_codegen.compiled import CompiledModel, TensorInfo
from tinyfleet_codegen.errors import ShapeError
from tinyfleet_codegen.ir import NUMPY_DTYPES
from tinyfleet_codegen.package import ModelPackage


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
        self._engine = Engine(build_library(self.compiled), "compiled_model")
        self._model = self._engine.lib.tyf_engine_model()
        self._arena = aligned(self.compiled.arena_bytes)
        self.reset()

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
        return self._engine.model_id(self._model)

    def reset(self) -> None:
        """Forget earlier inputs: a streaming model starts a new stream; others remember nothing anyway."""
        self._engine.reset(self._model, self._arena)

    def run(self, x: Array) -> Array:
        """Run a batch, one inference after the other; other Python threads run meanwhile.

        A streaming model goes on from where the last call left it; see :meth:`reset`.

        Args:
            x: ``[n, *input.shape[1:]]`` in the input's type.

        Returns:
            ``[n, *output.shape[1:]]`` in the output's type.

        Raises:
            ShapeError: shape or type do not fit.
        """
        inputs = self._as_inputs(x)
        outputs = np.empty((len(inputs), *self.output.shape[1:]), NUMPY_DTYPES[self.output.dtype])
        self._engine.run(self._model, self._arena, inputs, outputs)
        return outputs

    def run_layers(self, x: Array) -> list[bytes]:
        """The bytes that each layer wrote, for one input ``[1, ...]``."""
        inputs = self._as_inputs(x)
        if len(inputs) != 1:
            raise ShapeError(f"layers are compared for one input, got {len(inputs)}")
        sizes = [self.compiled.graph.output_tensor(node).bytes for node in self.compiled.graph.nodes]
        return self._engine.run_layers(self._model, self._arena, inputs, sizes)

    def seeded_input(self, seed: int, case: int) -> Array:
        """The input that a device makes from a seed, made by the C twin; shape ``[1, ...]``."""
        x = np.empty(self.input.shape, NUMPY_DTYPES[self.input.dtype])
        self._engine.lib.tyf_engine_seeded_input(self._model, seed, case, self._engine.pointer(x))
        return x

    def frontend(self, samples: npt.NDArray[np.int16]) -> npt.NDArray[np.int8]:
        """One window ``[window_samples, channels]`` through the C front end; int8 of the same shape."""
        frontend = self.compiled.package.frontend
        if frontend is None or samples.shape != (frontend.window_samples, frontend.channels) or samples.dtype != np.int16:
            raise ShapeError(f"samples {samples.dtype} {list(samples.shape)} are not one window of this model's front end")
        contiguous = np.ascontiguousarray(samples)
        result = np.empty(samples.shape, np.int8)
        pointer = self._engine.pointer
        self._engine.lib.tyf_engine_frontend(self._model, pointer(contiguous, "int16_t *"), pointer(result, "int8_t *"))
        return result

    def _as_inputs(self, x: Array) -> Array:
        expected = NUMPY_DTYPES[self.input.dtype]
        if x.shape[1:] != self.input.shape[1:] or x.dtype != expected:
            raise ShapeError(f"input is {x.dtype} {list(x.shape)}, the model takes {np.dtype(expected)} [n, {list(self.input.shape[1:])}]")
        return np.ascontiguousarray(x)
