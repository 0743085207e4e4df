"""Bit equality of a model on every target, against the oracle, down to the first layer that differs.

A device makes its inputs from a seed and sends hashes, so a proof over a slow link needs no tensors. Cases are numbered
from 0; :mod:`tinyfleet_codegen.wire.seeded` says what each holds.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tinyfleet.cases import Cases
from tinyfleet.device import MOST_BEGINS, SyncDevice, connect
from tinyfleet.emulator import EmulatedBoard
from tinyfleet.engine import BlobModel, HostModel
from tinyfleet.oracle import Oracle, open_oracle
from tinyfleet.platformio_build import build_firmware
from tinyfleet_codegen.compile import compile_graph, compile_model
from tinyfleet_codegen.compiled import CompiledModel, Layer
from tinyfleet_codegen.emit.blob import print_blob
from tinyfleet_codegen.errors import ConfigError, LinkLost, LinkTimeout, SessionLost, UsageError
from tinyfleet_codegen.ir import Tensor
from tinyfleet_codegen.package import ModelPackage
from tinyfleet_codegen.reference import run_layers, run_sequence
from tinyfleet_codegen.target import board_names, load_target
from tinyfleet_codegen.wire.seeded import tensor_hash

log = logging.getLogger(__name__)

Array = npt.NDArray[Any]

EMULATED = "emu://"
BATCH = 32
"""Cases that are asked for at once."""
DEVICE_TIMEOUT_S = 60.0
"""For one request; a board may compute several slow inferences before it answers."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Where a target first differs from the oracle.

    Attributes:
        case: Number of the input.
        layer: Position among the compiled layers; None when no layer differs (only the output does).
        op: For example ``op 3 (CONV_2D)``; ``output`` when no layer differs.
        tensor: Name of the tensor that differs.
        element: Flat index of the first differing element; None when only hashes are known.
        expected, actual: Its two values.
    """

    case: int
    layer: int | None
    op: str
    tensor: str
    element: int | None
    expected: float | None
    actual: float | None


@dataclass(frozen=True, slots=True)
class TargetResult:
    """What one target showed: ``checked`` inputs, ``mismatches`` among them, ``layers_compared`` over all inputs."""

    target: str
    checked: int
    mismatches: int
    layers_compared: int
    first_difference: Difference | None


@dataclass(frozen=True, slots=True)
class VerifyResult:
    """Equal means: every target checked at least one input and none differed."""

    equal: bool
    model_id: bytes
    oracle: str
    seed: int
    targets: tuple[TargetResult, ...]


class Runner(Protocol):
    """A target that can be compared."""

    name: str

    def output_hashes(self, cases: Cases, first: int, count: int) -> list[bytes]:
        """The hash of each output, one inference after the other from a reset on."""

    def output(self, cases: Cases, case: int) -> bytes:
        """One output whole."""

    def layers(self, cases: Cases, case: int) -> list[bytes]:
        """Each layer's output for one case: whole, or its hash where ``layers_are_hashes``. Empty when it cannot be had."""

    layers_are_hashes: bool


class HostRunner:
    """The generated C, or a blob, on this machine."""

    layers_are_hashes = False

    def __init__(self, model: HostModel | BlobModel, name: str = "host") -> None:
        self.name = name
        self._model = model

    def output_hashes(self, cases: Cases, first: int, count: int) -> list[bytes]:
        """See :class:`Runner`."""
        self._model.reset()
        return [tensor_hash(output.tobytes()) for output in self._model.run(cases.inputs(first, count))]

    def output(self, cases: Cases, case: int) -> bytes:
        """See :class:`Runner`."""
        self._model.reset()
        return self._model.run(cases.input(case)).tobytes()

    def layers(self, cases: Cases, case: int) -> list[bytes]:
        """See :class:`Runner`."""
        self._model.reset()
        return self._model.run_layers(cases.input(case))


class ReferenceRunner:
    """The NumPy reference on the compiled graph."""

    layers_are_hashes = False

    def __init__(self, model: CompiledModel) -> None:
        self.name = "reference"
        self._graph = model.graph

    def output_hashes(self, cases: Cases, first: int, count: int) -> list[bytes]:
        """See :class:`Runner`."""
        return [tensor_hash(output.tobytes()) for output in run_sequence(self._graph, cases.inputs(first, count))]

    def output(self, cases: Cases, case: int) -> bytes:
        """See :class:`Runner`."""
        return run_sequence(self._graph, cases.input(case)).tobytes()

    def layers(self, cases: Cases, case: int) -> list[bytes]:
        """See :class:`Runner`."""
        return [layer.tobytes() for layer in run_layers(self._graph, cases.input(case))]


class DeviceRunner:
    """A board, real or emulated."""

    layers_are_hashes = True

    def __init__(self, device: SyncDevice, name: str) -> None:
        self.name = name
        self._device = device

    def output_hashes(self, cases: Cases, first: int, count: int) -> list[bytes]:
        """See :class:`Runner`."""
        if cases.is_seeded:
            return self._device.self_infer(cases.seed, first, count)
        hashes: list[bytes] = []
        begins = 1
        while len(hashes) < count:
            data = cases.input(first + len(hashes)).tobytes()
            try:
                hashes.append(tensor_hash(self._device.infer(data, reset=not hashes)))
            except (LinkTimeout, LinkLost, SessionLost) as error:
                # It may have run or not, and the model may remember.
                if not hashes or begins == MOST_BEGINS:
                    raise
                begins += 1
                hashes.clear()
                log.info("inferences begin again target=%s error=%s", self.name, error)
        return hashes

    def output(self, cases: Cases, case: int) -> bytes:
        """See :class:`Runner`."""
        if not cases.is_seeded:
            return self._device.infer(cases.input(case).tobytes(), reset=True)
        self._device.self_infer(cases.seed, case, 1)
        return self._device.last_output()

    def layers(self, cases: Cases, case: int) -> list[bytes]:
        """See :class:`Runner`."""
        return self._device.self_infer_layers(cases.seed, case) if cases.is_seeded else []


def verify(
    package: ModelPackage,
    targets: Sequence[str],
    *,
    count: int,
    seed: int = 1,
    inputs: Array | None = None,
    per_layer: bool = True,
    work_dir: Path | None = None,
    arena_budget_bytes: int | None = None,
) -> VerifyResult:
    """Compare targets with the oracle on ``count`` inputs.

    Args:
        package: The model.
        targets: ``host``, ``blob``, ``reference``, a device URL, or ``emu://BOARD``, which builds and boots that board.
        count: Number of inputs, >= 1; at most those given in ``inputs``.
        seed: Of the inputs, when none are given.
        inputs: ``[n, ...]`` in the input's type, or None.
        per_layer: Compare every layer of every input, where the target can show them; a wrong rounding of one value seldom
            reaches the output. False: outputs only.
        work_dir: Where emulated targets are built; what a model does not change is compiled there once. None: a temporary folder.
        arena_budget_bytes: See :func:`tinyfleet_codegen.compile.compile_graph`.

    Raises:
        UsageError: there is nothing to check.
        CompileError, BuildError, LinkError, DeviceError: see :mod:`tinyfleet_codegen.errors`.
    """
    if not targets:
        raise UsageError("verify needs a target", hint="add --on host or --on emu://mps2_an386")
    if inputs is not None:
        count = min(count, len(inputs))
    if count < 1:
        raise UsageError(f"verify needs at least one input, got {count}", hint="use -n 100")
    model = compile_graph(package, None, arena_budget_bytes=arena_budget_bytes)
    oracle = open_oracle(package.tflite, package.name)
    cases = Cases(model, seed, inputs)
    results = []
    for target in targets:
        with _open_runner(target, package, model, work_dir, arena_budget_bytes, per_layer=per_layer) as (runner, compiled):
            log.info("verifying target=%s model=%s count=%d", target, package.name, count)
            results.append(compare(runner, compiled, oracle, cases, count=count, per_layer=per_layer))
    equal = all(r.checked > 0 and r.mismatches == 0 for r in results)
    return VerifyResult(equal, package.model_id, oracle.name, seed, tuple(results))


@contextmanager
def _open_runner(
    target: str, package: ModelPackage, model: CompiledModel, work_dir: Path | None, arena_budget_bytes: int | None, *, per_layer: bool
) -> Iterator[tuple[Runner, CompiledModel]]:
    """The target and the model that it runs: on a small board fewer layers are whole in memory."""
    if target == "host":
        yield HostRunner(HostModel(package, compiled=model)), model
    elif target == "blob":
        yield HostRunner(BlobModel(print_blob(model.graph, model.plan, package, model.cpu_class)), "blob"), model
    elif target == "reference":
        yield ReferenceRunner(model), model
    elif target.startswith(EMULATED):
        with TemporaryDirectory(prefix="tinyfleet-verify-") as scratch:
            board = target.removeprefix(EMULATED)
            folder = (work_dir or Path(scratch)) / board
            compiled = compile_model(package, board, folder / "model", arena_budget_bytes=arena_budget_bytes)
            firmware = build_firmware(board, folder / "model", folder / "firmware")
            with (
                EmulatedBoard.start(board, firmware.elf, folder / "nvm.bin") as running,
                connect(running.url, timeout_s=DEVICE_TIMEOUT_S) as device,
            ):
                _require_same_model(device, package, target)
                yield DeviceRunner(device, target), compiled
    elif "://" in target:
        with connect(target, timeout_s=DEVICE_TIMEOUT_S) as device:
            _require_same_model(device, package, target)
            yield DeviceRunner(device, target), _model_on(device, package, model, arena_budget_bytes, target, per_layer=per_layer)
    else:
        raise UsageError(
            f"there is no target '{target}'", hint="targets: host, blob, reference, emu://BOARD or a device URL such as tcp://host:port"
        )


def _require_same_model(device: SyncDevice, package: ModelPackage, target: str) -> None:
    found = device.model_info()
    if found.model_id != package.model_id:
        raise ConfigError(
            f"{target} runs model {found.name} ({found.model_id.hex()[:12]}), not {package.name} ({package.model_id.hex()[:12]})",
            hint="build and flash firmware for this model first, or use --on emu://BOARD",
        )


def _model_on(
    device: SyncDevice, package: ModelPackage, model: CompiledModel, arena_budget_bytes: int | None, target: str, *, per_layer: bool
) -> CompiledModel:
    """The model as it was compiled for that board; which layers are whole in memory depends on its kernels and its RAM."""
    board = device.hello().board
    compiled = compile_graph(package, load_target(board), arena_budget_bytes=arena_budget_bytes) if board in board_names() else model
    layers = device.model_info().layers
    if per_layer and layers != len(compiled.layers):
        raise ConfigError(
            f"{target} runs {package.name} in {layers} layers, compiled for {board} here it has {len(compiled.layers)}",
            hint="give the --arena-budget that it was built with, or compare --outputs-only",
        )
    return compiled


def compare(runner: Runner, model: CompiledModel, oracle: Oracle, cases: Cases, *, count: int, per_layer: bool) -> TargetResult:
    """Compare one target with the oracle on the first ``count`` cases; see :func:`verify`."""
    mismatches = layers_compared = checked = 0
    first: Difference | None = None
    for start in range(0, count, BATCH):
        numbers = range(start, min(start + BATCH, count))
        found: list[Difference | None] = []
        if per_layer:
            for case in numbers:
                difference, compared = _first_layer_difference(runner, model, oracle, cases, case)
                layers_compared += compared
                found.append(difference)
        # The output is one of the layers; where layers cannot be had, it is compared by itself. Layers start from a reset,
        # so what a model remembers is seen only in the outputs of a sequence.
        if (layers_compared == 0 or model.graph.states) and not any(found):
            found = _output_differences(runner, model, oracle, cases, numbers)
        checked += len(found)
        mismatches += sum(difference is not None for difference in found)
        first = first or next(filter(None, found), None)
    return TargetResult(runner.name, checked, mismatches, layers_compared, first)


def _output_differences(runner: Runner, model: CompiledModel, oracle: Oracle, cases: Cases, numbers: range) -> list[Difference | None]:
    """What differs in the output of each case; the layer is looked for only then. Shorter when the target gave fewer outputs."""
    expected = oracle.run(cases.inputs(numbers.start, len(numbers)))
    found: list[Difference | None] = []
    for case, wanted, got in zip(numbers, expected, runner.output_hashes(cases, numbers.start, len(numbers)), strict=False):
        if tensor_hash(wanted.tobytes()) == got:
            found.append(None)
        else:
            layer, _ = _first_layer_difference(runner, model, oracle, cases, case)
            found.append(layer or _output_difference(runner, model, cases, case, wanted))
    return found


def _first_layer_difference(runner: Runner, model: CompiledModel, oracle: Oracle, cases: Cases, case: int) -> tuple[Difference | None, int]:
    """The first layer that differs, and how many were compared."""
    actual = runner.layers(cases, case)
    if not actual:
        return None, 0
    tensor_ids = [node.outputs[0] for node in model.graph.nodes]
    expected = [
        _left(model.graph.tensors[i], whole) for i, whole in zip(tensor_ids, oracle.tensors(cases.input(case), tensor_ids), strict=True)
    ]
    if len(actual) != len(expected):
        return Difference(case, None, "output", f"{len(actual)} layers instead of {len(expected)}", None, None, None), 0
    for position, (layer, wanted, got) in enumerate(zip(model.layers, expected, actual, strict=True)):
        whole = wanted.tobytes()
        if got != (tensor_hash(whole) if runner.layers_are_hashes else whole):
            return _describe(case, position, layer, wanted, None if runner.layers_are_hashes else got), position + 1
    return None, len(expected)


def _left(tensor: Tensor, whole: Array) -> Array:
    """Of a tensor as the oracle has it, the channels that the compiled graph computes."""
    return whole if tensor.channels is None else np.ascontiguousarray(whole[..., list(tensor.channels)])


def _describe(case: int, position: int, layer: Layer, wanted: Array, got: bytes | None) -> Difference:
    if got is None:
        return Difference(case, position, layer.label, layer.output_name, None, None, None)
    flat, other = wanted.reshape(-1), np.frombuffer(got, wanted.dtype)
    element = int(np.flatnonzero(flat != other)[0])
    return Difference(case, position, layer.label, layer.output_name, element, flat[element].item(), other[element].item())


def _output_difference(runner: Runner, model: CompiledModel, cases: Cases, case: int, wanted: Array) -> Difference:
    got = np.frombuffer(runner.output(cases, case), wanted.dtype)
    name = model.graph.tensors[model.graph.outputs[0]].name
    flat = wanted.reshape(-1)
    unequal = np.flatnonzero(flat != got) if len(got) == len(flat) else np.array([], np.int64)
    if len(unequal) == 0:
        return Difference(case, None, "output", name, None, None, None)
    element = int(unequal[0])
    return Difference(case, None, "output", name, element, flat[element].item(), got[element].item())
