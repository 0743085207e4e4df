"""What every other implementation is compared with: TensorFlow Lite Micro's own interpreter, else our NumPy reference."""

from __future__ import annotations

import importlib.util
from importlib.metadata import version
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tinyfleet_codegen.errors import FormatError, SetupError
from tinyfleet_codegen.ir import NUMPY_DTYPES, Graph
from tinyfleet_codegen.reference import run_layers, run_sequence
from tinyfleet_codegen.tflite.reader import read_tflite

Array = npt.NDArray[Any]

_PACKAGE = "tflite-micro"
_SPARE_ARENA_BYTES = 1 << 20


class Oracle(Protocol):
    """Runs a model as written in its file, without our passes, plan or kernels."""

    name: str
    """Which implementation this is, with its version."""

    def run(self, x: Array) -> Array:
        """Outputs of a batch, one inference after the other from a reset on: ``[n, ...]`` to ``[n, ...]``."""

    def tensors(self, x: Array, tensor_ids: list[int]) -> list[Array]:
        """Values of tensors of the graph after one inference of ``x`` ``[1, ...]`` from a reset on."""


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

        def open_interpreter() -> Any:
            return runtime.Interpreter.from_bytes(
                tflite, arena_size=arena_bytes, intrepreter_config=runtime.InterpreterConfig.kPreserveAllTensors
            )

        self._open_interpreter = open_interpreter
        try:
            self._interpreter = open_interpreter()
        except RuntimeError as error:
            raise FormatError(f"{self.name} refuses this model: {error}") from error

    def run(self, x: Array) -> Array:
        """See :class:`Oracle`."""
        output = self._graph.tensors[self._graph.outputs[0]]
        results = np.empty((len(x), *output.shape[1:]), NUMPY_DTYPES[output.dtype])
        self._reset()
        for i in range(len(x)):
            self._invoke(x[i : i + 1])
            results[i] = self._interpreter.get_output(0).reshape(output.shape)[0]
        return results

    def tensors(self, x: Array, tensor_ids: list[int]) -> list[Array]:
        """See :class:`Oracle`."""
        self._reset()
        self._invoke(x)
        # What the reader adds for states is not in the file; the value that becomes the state is.
        values = {state.next: state.value for state in self._graph.states}
        tensor_ids = [values.get(i, i) for i in tensor_ids]
        shapes = [self._graph.tensors[i].shape for i in tensor_ids]
        return [np.array(self._interpreter.GetTensor(i, 0)["tensor_data"]).reshape(s) for i, s in zip(tensor_ids, shapes, strict=True)]

    def _reset(self) -> None:
        # Its own reset does not run the initialisation of variables again.
        if self._graph.states:
            self._interpreter = self._open_interpreter()

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
        return run_sequence(self._graph, x)

    def tensors(self, x: Array, tensor_ids: list[int]) -> list[Array]:
        """See :class:`Oracle`."""
        layers = run_layers(self._graph, x)
        values = {node.outputs[0]: layer for node, layer in zip(self._graph.nodes, layers, strict=True)}
        return [values[i] for i in tensor_ids]
