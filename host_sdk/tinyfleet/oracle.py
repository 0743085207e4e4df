"""What every other implementation is compared with: TensorFlow Lite Micro's own interpreter, else our NumPy reference."""

from __future__ import annotations

import importlib.util
from importlib.metadata import version
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tinyfleet_codegen.errors import FormatError, SetupError
from tinyfleet_codegen.ir import NUMPY_DTYPES, Graph
from tinyfleet_codegen.reference import run_layers
from tinyfleet_codegen.tflite.reader import read_tflite

Array = npt.NDArray[Any]

_PACKAGE = "tflite-micro"
_SPARE_ARENA_BYTES = 1 << 20


class Oracle(Protocol):
    """Runs a model as written in its file, without our passes, plan or kernels."""

    name: str
    """Which implementation this is, with its version."""

    def run(self, x: Array) -> Array:
        """Outputs of a batch, one inference after the other: ``[n, ...]`` to ``[n, ...]``."""

    def tensors(self, x: Array, tensor_ids: list[int]) -> list[Array]:
        """Values of tensors of the file after one inference of ``x`` ``[1, ...]``."""


def open_oracle(tflite: bytes, name: str) -> Oracle:
    """The oracle for a model: TFLite Micro where its package is installed, else the NumPy reference (its name says so).

    Raises:
        CompileError: the model is malformed or not supported.
    """
    graph = read_tflite(tflite, name)
    if importlib.util.find_spec("tflite_micro") is None:
        return NumpyOracle(graph)
    return TfliteMicroOracle(tflite, graph)


class TfliteMicroOracle:
    """TensorFlow Lite Micro's reference kernels, through its Python package. Keeps every tensor after a run."""

    def __init__(self, tflite: bytes, graph: Graph) -> None:
        try:
            from tflite_micro.python.tflite_micro import runtime  # noqa: PLC0415 - optional package
        except ImportError as error:
            raise SetupError(f"{_PACKAGE} cannot be imported: {error}", hint="pip install 'tinyfleet[verify]'") from error
        self.name = f"{_PACKAGE} {version(_PACKAGE)}"
        self._graph = graph
        # Its own guess is too small for models whose activations outweigh their weights.
        arena_bytes = 2 * sum(t.bytes for t in graph.tensors) + 2 * len(tflite) + _SPARE_ARENA_BYTES
        try:
            self._interpreter = runtime.Interpreter.from_bytes(
                tflite, arena_size=arena_bytes, intrepreter_config=runtime.InterpreterConfig.kPreserveAllTensors
            )
        except RuntimeError as error:
            raise FormatError(f"{self.name} refuses this model: {error}") from error

    def run(self, x: Array) -> Array:
        """See :class:`Oracle`."""
        output = self._graph.tensors[self._graph.outputs[0]]
        results = np.empty((len(x), *output.shape[1:]), NUMPY_DTYPES[output.dtype])
        for i in range(len(x)):
            self._invoke(x[i : i + 1])
            results[i] = self._interpreter.get_output(0).reshape(output.shape)[0]
        return results

    def tensors(self, x: Array, tensor_ids: list[int]) -> list[Array]:
        """See :class:`Oracle`."""
        self._invoke(x)
        shapes = [self._graph.tensors[i].shape for i in tensor_ids]
        return [np.array(self._interpreter.GetTensor(i, 0)["tensor_data"]).reshape(s) for i, s in zip(tensor_ids, shapes, strict=True)]

    def _invoke(self, x: Array) -> None:
        self._interpreter.set_input(x, 0)
        self._interpreter.invoke()


class NumpyOracle:
    """Our NumPy reference; the stand-in where TFLite Micro has no package."""

    def __init__(self, graph: Graph) -> None:
        self.name = "tinyfleet NumPy reference (tflite-micro has no package here)"
        self._graph = graph

    def run(self, x: Array) -> Array:
        """See :class:`Oracle`."""
        return np.concatenate([self.tensors(x[i : i + 1], list(self._graph.outputs))[0] for i in range(len(x))])

    def tensors(self, x: Array, tensor_ids: list[int]) -> list[Array]:
        """See :class:`Oracle`."""
        layers = run_layers(self._graph, x)
        values = {node.outputs[0]: layer for node, layer in zip(self._graph.nodes, layers, strict=True)}
        return [values[i] for i in tensor_ids]
