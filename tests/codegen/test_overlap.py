"""How far an output may lie over its input: proven from every load and store that the kernels make."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cffi
import numpy as np
import numpy.typing as npt
import pytest

from tests.support.op_cases import OpCase, all_cases
from tinyfleet.toolchain import find_host_cc
from tinyfleet_codegen.compile import compile_graph
from tinyfleet_codegen.compiled import CompiledModel
from tinyfleet_codegen.emit.c import print_c
from tinyfleet_codegen.firmware_tree import HOST_CLASS, firmware_dir, kernel_sources
from tinyfleet_codegen.ir import Graph, Node
from tinyfleet_codegen.overlap import ANYWHERE, Overlap, elementwise_overlap, forward_overlap
from tinyfleet_codegen.package import ModelPackage
from tinyfleet_codegen.plan import Part, Plan
from tinyfleet_codegen.text import c_identifier

CASES = [case for cases in all_cases().values() for case in cases]
RECORDER = Path(__file__).parents[1] / "support" / "recorder.c"
LOG_WORDS = 1 << 24

Int64Array = npt.NDArray[np.int64]


def plan_apart(graph: Graph, plan: Plan) -> Plan:
    """Room for every tensor, nothing over anything else."""
    offsets, end = {}, 0
    for tensor in plan.offsets:
        offsets[tensor] = end
        end += -(-graph.tensors[tensor].bytes // 16) * 16
    return Plan(end, offsets, {}, (), (Part(0, end),))


class Recorder:
    """The portable kernels with a hook at every load and store, and models that call them."""

    def __init__(self, models: Sequence[CompiledModel], folder: Path) -> None:
        includes = [f"-I{firmware_dir() / 'lib' / name / 'include'}" for name in ("core", "model", "nn")]
        # Without the optimiser, so that accesses come in the order of the source; `may alias` makes every other order equal.
        compiler = [*find_host_cc(), "-std=c11", "-ffp-contract=off", "-fPIC", "-O0", *includes]
        sources = [RECORDER]
        self._plans = {model.name: plan_apart(model.graph, model.plan) for model in models}
        for model in models:
            home = folder / c_identifier(model.name)
            home.mkdir()
            printed = print_c(model.graph, self._plans[model.name], model.package, HOST_CLASS)
            (home / "model.h").write_text(printed.model_h)
            (home / "model.c").write_text(printed.model_c)
            sources.append(home / "model.c")
        hooks = ["-fsanitize=thread", "-Dmemcpy=recorded_memcpy", "-Dmemset=recorded_memset", "-Dmemmove=recorded_memmove"]
        kernels = [str(source) for source in kernel_sources(HOST_CLASS)]
        subprocess.run([*compiler, *hooks, "-c", *kernels], cwd=folder, check=True, timeout=300)
        objects = [f"{Path(kernel).stem}.o" for kernel in kernels]
        library = folder / "recorder.so"
        subprocess.run([*compiler, "-shared", *map(str, sources), *objects, "-o", str(library)], cwd=folder, check=True, timeout=300)
        self._ffi = cffi.FFI()
        names = "".join(f"extern struct first_member {c_identifier(name)}_model;" for name in self._plans)
        self._ffi.cdef(
            "struct first_member { const char *name; }; uint32_t record(const void *model, uint8_t *arena, uint32_t bytes,"
            f" uint32_t *log, uint32_t words); {names}"
        )
        self._lib: Any = self._ffi.dlopen(str(library))
        self._log = np.zeros(LOG_WORDS, np.uint32)

    def required_lead(self, model: CompiledModel, node: Node, source: int) -> int | None:
        """The least distance at which the node never loads a byte of ``source`` that its output has overwritten.

        None when no byte of the output is written before the last load: any distance does.
        """
        plan = self._plans[model.name]
        arena = np.zeros(plan.arena_bytes + 16, np.uint8)
        count = self._lib.record(
            self._ffi.addressof(getattr(self._lib, f"{c_identifier(model.name)}_model")),
            self._ffi.cast("uint8_t *", arena.ctypes.data),
            plan.arena_bytes,
            self._ffi.cast("uint32_t *", self._log.ctypes.data),
            LOG_WORDS,
        )
        assert 0 < count < LOG_WORDS
        log = self._log[:count].astype(np.int64)
        at, size, is_store = log >> 6, log >> 1 & 31, (log & 1).astype(bool)
        begin, output = plan.offsets[source], plan.offsets[node.outputs[0]]
        stores = is_store & (at >= output) & (at < output + model.graph.output_tensor(node).bytes)
        loads = ~is_store & (at >= begin) & (at < begin + model.graph.tensors[source].bytes)
        assert stores.any()
        written = np.maximum.accumulate(np.where(stores, at + size - output, 0))
        counts = loads & (written > 0)
        return int((written - (at - begin))[counts].max()) if counts.any() else None


@pytest.fixture(scope="module")
def recorder(tmp_path_factory: pytest.TempPathFactory) -> Recorder:
    return Recorder([compile_case(case) for case in CASES], tmp_path_factory.mktemp("recorder"))


def compile_case(case: OpCase) -> CompiledModel:
    return compile_graph(ModelPackage(case.name, case.tflite), None)


def test_declared_overlaps_are_what_the_kernels_need(recorder: Recorder) -> None:
    wasteful = []
    for case in CASES:
        model = compile_case(case)
        for node in model.graph.nodes:
            for position, source in enumerate(node.inputs):
                if source is None or model.graph.tensors[source].data is not None or node.op.aliases_input(model.graph, node):
                    continue
                # Only the last reader of a tensor may write over it.
                if source in model.graph.results or [n for n in model.graph.nodes if source in n.inputs][-1] is not node:
                    continue
                declared = node.op.output_overlap(model.graph, node, position)
                # What another node reads of the same tensor would count as well; the planner lets only its last reader overlap it.
                if declared is None or sum(source in other.inputs for other in model.graph.nodes) > 1:
                    continue
                required = recorder.required_lead(model, node, source)
                if required is None:
                    assert declared == ANYWHERE or declared.lead_bytes is not None
                    continue
                assert declared.step_bytes is None, f"{case.name}: {declared} is more than the kernel keeps: {required}"
                assert declared.lead_bytes is not None and declared.lead_bytes >= required, f"{case.name}: {declared}, needs {required}"
                if declared.lead_bytes > required:
                    wasteful.append(f"{case.name}: {declared.lead_bytes} instead of {required}")
    # Grouped convolutions could give a few bytes more.
    assert all("grouped" in text for text in wasteful), wasteful


def test_what_is_read_whole_before_it_is_written_may_lie_anywhere() -> None:
    assert forward_overlap([0, 0], [0, 5]) == ANYWHERE
    assert all(ANYWHERE.allows(lead) for lead in (-100, -1, 0, 1, 100))


def test_elements_that_grow_need_the_output_far_ahead_and_those_that_shrink_none() -> None:
    assert elementwise_overlap((2, 8), (2, 8), 4, 1) == Overlap(lead_bytes=45)
    assert elementwise_overlap((2, 8), (2, 8), 1, 4) == Overlap(lead_bytes=-3)
    assert elementwise_overlap((2, 8), (2, 8)) == Overlap(lead_bytes=0)
    # The one row is needed to the end: the output lies a row ahead.
    assert elementwise_overlap((2, 8), (8,)) == Overlap(lead_bytes=8)
    # Different wide types: the compiler may believe that they never meet.
    assert elementwise_overlap((2, 8), (2, 8), 4, 2) is None


def test_channel_after_channel_may_move_by_whole_pixels() -> None:
    overlap = Overlap(step_bytes=24)
    assert [lead for lead in range(-30, 60) if overlap.allows(lead)] == [-24, 0, 24, 48]
