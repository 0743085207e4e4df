"""Random models through the whole compiler: TFLite Micro = NumPy reference, before and after passes = blob = compiled C, by layer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from tests.support import batch
from tests.support.isolated import Isolated
from tests.support.random_graphs import build, describe, minimize
from tests.support.random_rules import GraphSpec
from tinyfleet.cases import Cases
from tinyfleet.engine import BlobModel
from tinyfleet.engine.host_build import build_blob_library
from tinyfleet.oracle import open_oracle
from tinyfleet_codegen.compile import compile_graph
from tinyfleet_codegen.compiled import CompiledModel
from tinyfleet_codegen.emit.blob import print_blob
from tinyfleet_codegen.firmware_tree import HOST_CLASS
from tinyfleet_codegen.kernels import KERNELS
from tinyfleet_codegen.op import Array
from tinyfleet_codegen.package import ModelPackage
from tinyfleet_codegen.reference import initial_memory, run_layers
from tinyfleet_codegen.target import load_target
from tinyfleet_codegen.tflite.reader import read_tflite

INPUTS = 4
"""Inputs of each graph: all -128, all 127 and random ones."""
INPUT_SEED = 31
TIMEOUT_S = 60.0
"""For one graph on the reference; one takes milliseconds."""
MINIMIZE_COMPILED = 40
"""Compilations that making a failing graph smaller may cost, 2 s each."""


@dataclass
class Counts:
    """What was compared: layers of the reference or of compiled C, and of blobs; ``informative`` ones hold more than one value."""

    graphs: int = 0
    layers: int = 0
    blob_layers: int = 0
    informative: int = 0
    ops: Counter[str] = field(default_factory=Counter)
    kernels: Counter[str] = field(default_factory=Counter)

    def add(self, other: Counts) -> None:
        """Sum up."""
        self.graphs += other.graphs
        self.layers += other.layers
        self.blob_layers += other.blob_layers
        self.informative += other.informative
        self.ops += other.ops
        self.kernels += other.kernels


@dataclass(frozen=True, slots=True)
class Failure:
    """A graph that differs or breaks something: what its seed showed, and a smaller graph that still fails."""

    seed: int
    problem: str
    smallest: GraphSpec
    smallest_problem: str | None

    def __str__(self) -> str:
        return f"seed {self.seed}: {self.problem}\nminimised ({self.smallest_problem}):\n{self.smallest}\n{describe(build(self.smallest))}"


def package(spec: GraphSpec) -> ModelPackage:
    """The model of a spec."""
    return ModelPackage(f"g{spec.seed}", build(spec))


def _require_equal(what: str, actual: Array, expected: Array) -> None:
    if actual.dtype != expected.dtype or actual.size != expected.size:
        raise AssertionError(f"{what}: {actual.dtype}{list(actual.shape)} instead of {expected.dtype}{list(expected.shape)}")
    if actual.tobytes() != expected.tobytes():
        got, wanted = actual.reshape(-1), expected.reshape(-1)
        at = np.flatnonzero(got != wanted)
        raise AssertionError(
            f"{what}: {len(at)} of {wanted.size} values differ, first at {at[:1]}: {got[at[:1]]} instead of {wanted[at[:1]]}"
        )


def check_reference(spec: GraphSpec) -> Counts:
    """On INPUTS inputs every layer of the file's graph equals TFLite Micro's, and so does every layer that the passes left: in NumPy,
    and as a blob on the host.

    Raises:
        AssertionError: a layer differs.
        CompileError: the compiler refuses the model, which the generator must not make.
    """
    model = compile_graph(package(spec), None)
    written = read_tflite(model.package.tflite, model.name)
    oracle = open_oracle(model.package.tflite, model.name)
    outputs = [node.outputs[0] for node in written.nodes]
    blob = BlobModel(print_blob(model.graph, model.plan, model.package, HOST_CLASS))
    counts = Counts(graphs=1)
    cases = Cases(model, INPUT_SEED)
    for case in range(INPUTS):
        expected = dict(zip(outputs, oracle.tensors(cases.input(case), outputs), strict=True))
        for node, actual in zip(written.nodes, run_layers(written, cases.input(case)), strict=True):
            _require_equal(f"reference, {node.label}, input {case}", actual, expected[node.outputs[0]])
            counts.layers += 1
            counts.ops[node.op.name] += 1
            counts.informative += len(set(actual.reshape(-1).tolist())) > 1
        blob.reset()
        of_blob = blob.run_layers(cases.input(case))
        for node, actual, got in zip(model.graph.nodes, run_layers(model.graph, cases.input(case)), of_blob, strict=True):
            # A pass may take channels out of a tensor; those that stay hold what they held.
            channels, wanted = model.graph.output_tensor(node).channels, expected[node.outputs[0]]
            left = wanted if channels is None else np.ascontiguousarray(wanted[..., list(channels)])
            _require_equal(f"after the passes, {node.label}, input {case}", actual, left)
            _require_equal(f"blob, {node.label}, input {case}", np.frombuffer(got, left.dtype), left)
            counts.blob_layers += 1
    return counts


def require_layers(model: CompiledModel, target: str, layers: list[list[bytes]]) -> None:
    """What compiled code wrote, by input and layer, must be what the reference computes.

    Raises:
        AssertionError: a layer differs.
    """
    cases, memory = Cases(model, INPUT_SEED), initial_memory(model.graph)
    for case, actual in enumerate(layers):
        for node, wanted, got in zip(model.graph.nodes, run_layers(model.graph, cases.input(case), memory), actual, strict=True):
            _require_equal(f"C on {target}, {node.label}, input {case}", np.frombuffer(got, wanted.dtype), wanted)


def check_compiled(specs: Sequence[GraphSpec], board: str | None, *, blobs: bool = False) -> tuple[Counts, list[tuple[GraphSpec, str]]]:
    """Compile all of them into one program for the host (None) or a board; what each layer wrote must be the reference's.

    Args:
        specs: The graphs.
        board: An emulated board, or None.
        blobs: The program opens blobs instead of holding the generated C.

    Returns:
        What was compared, and the graphs that failed with what was wrong.
    """
    target = f"{'host' if board is None else board}{' from blobs' if blobs else ''}"
    counts = Counts()
    models = [compile_graph(package(spec), None if board is None else load_target(board)) for spec in specs]
    with TemporaryDirectory(prefix="tinyfleet-graphs-") as folder:
        try:
            layers = batch.run_layers(models, Path(folder), seed=INPUT_SEED, inputs=INPUTS, board=board, blobs=blobs)
        except AssertionError as error:
            if len(specs) == 1:
                return counts, [(specs[0], f"C on {target}: {error}")]
            # Something stopped the whole program: find out at which model.
            alone = [failed for spec in specs for failed in check_compiled([spec], board, blobs=blobs)[1]]
            return counts, alone or [(specs[0], f"C on {target}, only as one of {len(specs)}: {error}")]
    failed = []
    for spec, model, of_model in zip(specs, models, layers, strict=True):
        kernels = Counter(layer.kernel for layer in model.layers if layer.kernel)
        counts.add(Counts(graphs=1, layers=INPUTS * len(model.layers), kernels=kernels))
        try:
            require_layers(model, target, of_model)
        except AssertionError as error:
            failed.append((spec, str(error)))
    return counts, failed


def prove_reference(specs: Iterable[GraphSpec]) -> tuple[Counts, list[Failure]]:
    """``check_reference`` of each, in a process that may crash."""
    total, failures = Counts(), []
    build_blob_library()  # here, where it may take its time
    with Isolated(check_reference, timeout_s=TIMEOUT_S) as isolated:
        for spec in specs:
            outcome = isolated.call(spec)
            if outcome.result is not None:
                total.add(outcome.result)
            if outcome.problem is not None:
                smallest = minimize(spec, lambda candidate: isolated.call(candidate).problem is not None)
                failures.append(Failure(spec.seed, outcome.problem, smallest, isolated.call(smallest).problem))
    return total, failures


def specs_for_kernels(board: str, specs: Iterable[GraphSpec], count: int) -> list[GraphSpec]:
    """Of many graphs up to ``count``, each of which reaches a kernel of the board's core that fewer than four before it did."""
    seen: Counter[str] = Counter()
    chosen: list[GraphSpec] = []
    wanted = {kernel.symbol for kernel in KERNELS.get(load_target(board).cpu_class, ())}
    for spec in specs:
        kernels = {layer.kernel for layer in compile_graph(package(spec), load_target(board)).layers}
        if len(chosen) < count and any(seen[kernel] < 4 for kernel in kernels & wanted):
            chosen.append(spec)
            seen.update(kernels)
    return chosen


def prove_compiled(specs: Sequence[GraphSpec], board: str | None, *, blobs: bool = False) -> tuple[Counts, list[Failure]]:
    """``check_compiled`` of all in one program; failing graphs are made smaller one by one."""

    def problem_of(spec: GraphSpec) -> str | None:
        return next((problem for _, problem in check_compiled([spec], board, blobs=blobs)[1]), None)

    counts, failed = check_compiled(specs, board, blobs=blobs)
    failures = []
    for spec, problem in failed:
        smallest = minimize(spec, lambda candidate: problem_of(candidate) is not None, attempts=MINIMIZE_COMPILED)
        failures.append(Failure(spec.seed, problem, smallest, problem_of(smallest)))
    return counts, failures
