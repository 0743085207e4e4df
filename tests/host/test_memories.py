"""Boards of several memories: what of the arena lies where, from the manifest to the running program."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.codegen.test_plan import assert_plan_is_sound
from tests.support import standins
from tinyfleet.bench.measure import firmware_elf, measure
from tinyfleet.elf import elf_symbols
from tinyfleet.verify import verify
from tinyfleet_codegen import compile as compiling
from tinyfleet_codegen.compile import compile_graph, compile_model
from tinyfleet_codegen.emit.report import report_dict
from tinyfleet_codegen.errors import DoesNotFit
from tinyfleet_codegen.package import ModelPackage
from tinyfleet_codegen.plan import Plan, plan_arena
from tinyfleet_codegen.target import Ram, Target, load_target

BOARD = "mps3_an547"
SRAM = range(0x31000000, 0x31200000)
IC = ModelPackage("ic", standins.ic())
VWW = ModelPackage("vww", standins.vww())


def with_memories(target: Target, first: int, *more: Ram) -> Target:
    """The target with so much room for activations."""
    return replace(target, ram_bytes=target.stack_bytes + first, reserved_bytes=0, more_memories=more)


def parts(plan: Plan) -> list[tuple[int, int]]:
    return [(part.memory, part.bytes) for part in plan.parts]


def test_what_fits_the_first_memory_lies_there_as_if_there_were_no_other() -> None:
    # As on a board with DTCM and SRAM apart (Cortex-M7): 128 KiB and 512 KiB.
    target = load_target("mps2_an500")
    two = compile_graph(IC, with_memories(target, 1 << 17, Ram("sram", 1 << 19)))
    one = compile_graph(IC, replace(target, more_memories=()))
    assert two.source == one.source and parts(two.plan) == [(0, one.arena_bytes)]
    assert "memories" not in report_dict(one)
    assert report_dict(two)["memories"][1] == {"name": "sram", "free_bytes": 1 << 19, "arena_bytes": 0}


@pytest.mark.parametrize("package", [IC, VWW], ids=lambda package: package.name)
@pytest.mark.parametrize("free", [40_000, 30_000, 20_000, 9_000, 2_000, 100])
def test_a_memory_is_never_overfull_and_no_tensor_lost(package: ModelPackage, free: int) -> None:
    target = with_memories(load_target("mps2_an500"), free, Ram("sram", 50_000), Ram("psram", 1 << 20))
    model = compile_graph(package, target)
    assert all(part.bytes <= target.memories[part.memory].free_bytes for part in model.plan.parts)
    assert_plan_is_sound(model.graph, model.plan, model.cpu_class)
    one_part = {model.plan.split(model.plan.offsets[i])[0] for i in (*model.graph.inputs, *model.graph.outputs)}
    assert one_part == {0}, "inputs and outputs lie in the arena that the program gives"
    whole = plan_arena(model.graph, model.cpu_class).arena_bytes
    assert whole <= model.arena_bytes and (len(model.plan.parts) > 1) == (whole > free)
    for place in report_dict(model)["arena"]:
        assert place["offset"] + place["bytes"] <= next(
            m["arena_bytes"] for m in report_dict(model)["memories"] if m["name"] == place["memory"]
        )


def test_the_fast_memory_holds_what_is_used_most_for_its_size() -> None:
    model = compile_graph(IC, with_memories(load_target("mps2_an500"), 20_000, Ram("sram", 1 << 20)))
    fast = next(i for i, part in enumerate(model.plan.parts) if part.memory == 0)
    scratch = [a for a in model.plan.allocations if not a.tensors]
    assert scratch and all(model.plan.split(a.offset)[0] == fast for a in scratch)


def test_a_blob_lies_in_one_memory(tmp_path: Path) -> None:
    target = with_memories(load_target("mps2_an500"), 20_000, Ram("sram", 1 << 20))
    model = compile_graph(IC, target, in_one_memory=True)
    assert parts(model.plan) == [(1, model.arena_bytes)]
    assert '#define TYF_APP_ARENA_PLACE(otherwise) __attribute__((section(".ram1")))' in model.source.model_h
    compile_model(IC, BOARD, tmp_path, blob=True)
    report = json.loads((tmp_path / "report.json").read_text())
    assert [memory["arena_bytes"] for memory in report["memories"]] == [report["arena_bytes"], 0]


def test_what_fits_nowhere_is_refused_with_every_memory_named() -> None:
    target = with_memories(load_target("mps2_an500"), 1_000, Ram("sram", 12_000))
    with pytest.raises(DoesNotFit, match=r"the arena needs \d+ bytes, board mps2_an500 has 1000 in ssram and 12000 in sram") as caught:
        compile_graph(IC, target)
    assert "a larger board: " in str(caught.value.hint)


@pytest.mark.parametrize(("free", "home"), [(20_000, 0), (2_500, 1)])
def test_a_program_with_its_arena_in_two_memories_runs(free: int, home: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = load_target(BOARD)
    small = replace(target, reserved_bytes=target.ram_bytes - target.stack_bytes - free)
    monkeypatch.setattr(compiling, "load_target", lambda board: small)
    model = compile_graph(IC, small)
    assert model.plan.parts[0].memory == home and len(model.plan.parts) == 2
    measured = measure(IC, BOARD, tmp_path)  # compares the output with the oracle's
    assert measured.arena_bytes == model.arena_bytes and 0 < measured.static_bytes < 256
    arenas = {s.name: s for s in elf_symbols(firmware_elf(tmp_path, BOARD)) if s.name.startswith("arena")}
    assert {name: s.address in SRAM for name, s in arenas.items()} == {"arena": home == 1, f"arena_{1 - home}": home == 0}
    if home == 0:
        # Layer by layer in the program that talks.
        assert verify(IC, [f"emu://{BOARD}"], count=1, work_dir=tmp_path).equal
