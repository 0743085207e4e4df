"""What a model costs on a board, layer by layer: executed instructions from the emulator, MACs, flash, RAM.

The board measures itself while it computes a seeded input: it reads its counter when a layer begins and when it ends.
On an emulated board one instruction takes the same guest time always, so the numbers repeat; they are instructions, not cycles.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tinyfleet.device import connect
from tinyfleet.emulator import EmulatedBoard
from tinyfleet.platformio_build import build_firmware
from tinyfleet_codegen.compile import compile_model
from tinyfleet_codegen.errors import ProtocolError
from tinyfleet_codegen.package import ModelPackage

CASE = 2
"""The first seeded input that is not constant."""
DEVICE_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class LayerProfile:
    """One layer: what it is and what it cost."""

    layer: int
    op_index: int
    op: str
    kernel: str
    output_shape: tuple[int, ...]
    macs: int
    instructions: int
    constant_bytes: int


@dataclass(frozen=True, slots=True)
class ModelProfile:
    """A model on a board.

    Attributes:
        instructions: Executed by one inference, from its first to its last layer.
        flash_bytes: Of the whole firmware; ``code_bytes`` is what is not the model's constants.
        static_bytes: RAM of the firmware without arena and stack.
        stack_bytes: Most of the main stack that was ever in use.
    """

    name: str
    model_id: bytes
    board: str
    instructions: int
    macs: int
    flash_bytes: int
    code_bytes: int
    weights_bytes: int
    arena_bytes: int
    static_bytes: int
    stack_bytes: int
    layers: tuple[LayerProfile, ...]


def profile_model(package: ModelPackage, board: str, work_dir: Path | None = None, *, seed: int = 1) -> ModelProfile:
    """Build firmware with the model, boot it on the emulated board, and let it measure one inference.

    Args:
        work_dir: Where it is built; None: a temporary folder.

    Raises:
        CompileError, BuildError, LinkError: see :mod:`tinyfleet_codegen.errors`.
        ProtocolError: the board cannot count instructions.
    """
    with TemporaryDirectory(prefix="tinyfleet-profile-") as scratch:
        folder = work_dir or Path(scratch)
        compiled = compile_model(package, board, folder / "model")
        firmware = build_firmware(board, folder / "model", folder / "firmware")
        with (
            EmulatedBoard.start(board, firmware.elf, folder / "nvm.bin") as running,
            connect(running.url, timeout_s=DEVICE_TIMEOUT_S) as device,
        ):
            costs = device.layer_instructions(seed, CASE)
            stats = device.stats()
    if len(costs) != len(compiled.layers) or not any(costs):
        raise ProtocolError(f"{board} counted instructions of {len(costs)} layers, the model has {len(compiled.layers)}")
    layers = tuple(
        LayerProfile(
            layer=position,
            op_index=layer.op_index,
            op=layer.op,
            kernel=layer.kernel,
            output_shape=layer.output_shape,
            macs=layer.macs,
            instructions=cost,
            constant_bytes=layer.constant_bytes,
        )
        for position, (layer, cost) in enumerate(zip(compiled.layers, costs, strict=True))
    )
    return ModelProfile(
        name=compiled.name,
        model_id=compiled.model_id,
        board=board,
        instructions=sum(costs),
        macs=compiled.macs,
        flash_bytes=firmware.flash_bytes,
        code_bytes=firmware.flash_bytes - compiled.weights_bytes,
        weights_bytes=compiled.weights_bytes,
        arena_bytes=compiled.arena_bytes,
        static_bytes=firmware.ram_bytes - compiled.arena_bytes - stats.stack_bytes,
        stack_bytes=stats.stack_used,
        layers=layers,
    )
