"""Measure one model on one emulated board.

Totals come from ``firmware/apps/bench``, one model and nothing else. Counts per layer come from the sensor app, which reads its
counter when a layer begins and when it ends. On an emulated board one instruction takes the same guest time always, so the
numbers repeat; they are instructions, not cycles.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from tinyfleet.arena_plot import ArenaPlace, arena_places
from tinyfleet.bench.measure import CASE, SEED, FlashSplit, Measurement, firmware_elf, measure
from tinyfleet.cases import Cases
from tinyfleet.device import connect
from tinyfleet.elf import elf_symbols
from tinyfleet.emulator import EmulatedBoard
from tinyfleet.platformio_build import build_firmware
from tinyfleet.profile.cycle_model import MODELS, why_no_model
from tinyfleet.profile.executed import CycleEstimate, InstructionClasses, count_classes
from tinyfleet.stack_bound import EXCEPTION_FRAME_BYTES, stack_bound
from tinyfleet_codegen.compile import compile_model
from tinyfleet_codegen.compiled import CompiledModel
from tinyfleet_codegen.errors import ProtocolError
from tinyfleet_codegen.package import ModelPackage
from tinyfleet_codegen.target import load_target

DEVICE_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class LayerProfile:
    """One layer: what it is and what it cost.

    Attributes:
        instructions_per_mac: None for a layer without multiply-accumulates.
        weights_bytes, tables_bytes: Its constants in flash.
    """

    layer: int
    op_index: int
    op: str
    kernel: str
    output: str
    output_shape: tuple[int, ...]
    macs: int
    instructions: int
    instructions_per_mac: float | None
    weights_bytes: int
    tables_bytes: int


@dataclass(frozen=True, slots=True)
class FunctionSize:
    """One function of the linked program."""

    name: str
    bytes: int


@dataclass(frozen=True, slots=True)
class ModelProfile:
    """A model on a board.

    Attributes:
        instructions: Executed by one inference.
        flash_bytes: Of the whole program; ``flash`` splits it.
        arena_lower_bound_bytes: No placement of the same lifetimes needs less.
        static_bytes: RAM of the program without arena and stacks.
        stack_bytes: Most of the main stack that was in use, painted before.
        stack_bound_bytes: What it can be, from the machine code, with one interrupt.
        model_stack_bound_bytes: The model's part of it.
        functions: Of the program, largest first.
        classes: Of the executed instructions; None where :func:`~tinyfleet.profile.executed.count_classes` has none.
        estimate: Of cycles, by a model; None for a core without one.
        no_estimate: Why there is none; empty when there is one.
    """

    name: str
    model_id: str
    board: str
    instructions: int
    macs: int
    flash_bytes: int
    flash: FlashSplit
    arena_bytes: int
    arena_lower_bound_bytes: int
    static_bytes: int
    stack_bytes: int
    stack_bound_bytes: int
    model_stack_bound_bytes: int
    ram_bytes: int
    startup_instructions: int
    layers: tuple[LayerProfile, ...]
    arena: tuple[ArenaPlace, ...]
    functions: tuple[FunctionSize, ...]
    classes: InstructionClasses | None = None
    estimate: CycleEstimate | None = None
    no_estimate: str = ""


def profile_model(
    package: ModelPackage, board: str, work_dir: Path | None = None, *, seed: int = 1, arena_budget_bytes: int | None = None
) -> ModelProfile:
    """Build firmware with the model, boot it on the emulated board, and let it measure one inference.

    Args:
        work_dir: Where it is built; None: a temporary folder.
        arena_budget_bytes: See :func:`tinyfleet_codegen.compile.compile_graph`.

    Raises:
        CompileError, BuildError, LinkError: see :mod:`tinyfleet_codegen.errors`.
        ProtocolError: the board cannot count instructions.
    """
    with TemporaryDirectory(prefix="tinyfleet-profile-") as scratch:
        folder = work_dir or Path(scratch)
        total = measure(package, board, folder / "bench", arena_budget_bytes=arena_budget_bytes)
        elf = firmware_elf(folder / "bench", board)
        bounds = stack_bound(elf, "main") + EXCEPTION_FRAME_BYTES, stack_bound(elf, "run")
        functions = [FunctionSize(s.name, s.size) for s in elf_symbols(elf) if s.is_function and s.size]
        compiled = compile_model(package, board, folder / "model", arena_budget_bytes=arena_budget_bytes)
        costs = _layer_instructions(compiled, board, folder, seed)
        x = Cases(compiled, SEED).input(CASE).tobytes()
        output = compiled.graph.tensors[compiled.graph.outputs[0]]
        classes, estimate = count_classes(elf, board, folder, x, output.bytes, total.instructions)
    profile = _profile(compiled, total, bounds, costs, sorted(functions, key=lambda f: (-f.bytes, f.name)))
    reason = "" if estimate is not None else _why_no_estimate(load_target(board).cpu)
    return replace(profile, classes=classes, estimate=estimate, no_estimate=reason)


def _why_no_estimate(cpu: str) -> str:
    return "the executed instructions are not known" if cpu in MODELS else why_no_model(cpu)


def _layer_instructions(compiled: CompiledModel, board: str, folder: Path, seed: int) -> list[int]:
    firmware = build_firmware(board, folder / "model", folder / "firmware")
    with (
        EmulatedBoard.start(board, firmware.elf, folder / "nvm.bin") as running,
        connect(running.url, timeout_s=DEVICE_TIMEOUT_S) as device,
    ):
        costs = device.layer_instructions(seed, CASE)
    if len(costs) != len(compiled.layers) or not any(costs):
        raise ProtocolError(f"{board} counted instructions of {len(costs)} layers, the model has {len(compiled.layers)}")
    return list(costs)


def _profile(
    compiled: CompiledModel, total: Measurement, bounds: tuple[int, int], costs: list[int], functions: list[FunctionSize]
) -> ModelProfile:
    layers = tuple(
        LayerProfile(
            layer=position,
            op_index=layer.op_index,
            op=layer.op,
            kernel=layer.kernel,
            output=layer.output_name,
            output_shape=layer.output_shape,
            macs=layer.macs,
            instructions=cost,
            instructions_per_mac=round(cost / layer.macs, 4) if layer.macs else None,
            weights_bytes=layer.weights_bytes,
            tables_bytes=layer.tables_bytes,
        )
        for position, (layer, cost) in enumerate(zip(compiled.layers, costs, strict=True))
    )
    return ModelProfile(
        name=compiled.name,
        model_id=compiled.model_id.hex(),
        board=total.board,
        instructions=total.instructions,
        macs=compiled.macs,
        flash_bytes=total.flash.bytes,
        flash=total.flash,
        arena_bytes=compiled.arena_bytes,
        arena_lower_bound_bytes=compiled.arena_lower_bound_bytes,
        static_bytes=total.static_bytes,
        stack_bytes=total.stack_bytes,
        stack_bound_bytes=bounds[0],
        model_stack_bound_bytes=bounds[1],
        ram_bytes=total.ram_bytes,
        startup_instructions=total.startup_instructions,
        layers=layers,
        arena=tuple(arena_places(compiled)),
        functions=tuple(functions),
    )
