"""What we compile for: the facts of a board's manifest, ``firmware/boards/<id>.json``, that a model must fit into."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from tinyfleet_codegen.errors import ConfigError, UsageError
from tinyfleet_codegen.firmware_tree import firmware_dir


@dataclass(frozen=True, slots=True)
class Ram:
    """A memory that activations may lie in.

    Attributes:
        name: For people, for example ``dtcm``.
        free_bytes: Room for activations.
    """

    name: str
    free_bytes: int


@dataclass(frozen=True, slots=True)
class Target:
    """A board as the compiler sees it.

    Attributes:
        board: The manifest's file stem, for example ``mps2_an386``.
        name: For people.
        cpu: As in ``-mcpu=``.
        cpu_class: Which kernel variants fit: ``v6m`` (Cortex-M0 to M3), ``dsp`` or ``mve``.
        flash_bytes: Room for the application.
        ram_bytes: Room for arena, stacks and all static data; of several memories, the first.
        stack_bytes: Of it reserved for the stacks of the program and of interrupts.
        more_memories: Others that activations may lie in, fastest first.
        reserved_bytes: Of ``ram_bytes`` kept for variables where the arena may lie elsewhere.
        model_slot_bytes: Room for a model package that is loaded at run time; 0: the board has none.
    """

    board: str
    name: str
    cpu: str
    cpu_class: str
    flash_bytes: int
    ram_bytes: int
    stack_bytes: int
    more_memories: tuple[Ram, ...] = ()
    reserved_bytes: int = 0
    ram_name: str = "ram"
    model_slot_bytes: int = 0

    @property
    def memories(self) -> tuple[Ram, ...]:
        """All memories that activations may lie in, fastest first."""
        return (Ram(self.ram_name, self.ram_bytes - self.stack_bytes - self.reserved_bytes), *self.more_memories)

    @property
    def free_bytes(self) -> int:
        """Room for activations in all memories."""
        return sum(memory.free_bytes for memory in self.memories)


def board_names() -> tuple[str, ...]:
    """Boards that have a manifest, sorted."""
    return tuple(sorted(path.stem for path in (firmware_dir() / "boards").glob("*.json")))


def manifest_path(board: str) -> Path:
    """The manifest of a board.

    Raises:
        UsageError: there is no such board; the hint lists those that exist.
    """
    if board not in board_names():
        raise UsageError(f"there is no board '{board}'", hint=f"boards: {', '.join(board_names())}")
    return firmware_dir() / "boards" / f"{board}.json"


def load_target(board: str) -> Target:
    """Read a board's manifest.

    Raises:
        UsageError: there is no such board.
        ConfigError: the manifest lacks something.
    """
    path = manifest_path(board)
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        ours = data["tinyfleet"]
        areas = {area["name"]: area for area in ours["flash_map"]}
        image = ours["image"]
        ram = ours["memory"]["ram"]
        first, *more = ram if isinstance(ram, list) else [ram]
        return Target(
            board=board,
            name=str(data["name"]),
            cpu=str(data["build"]["cpu"]),
            cpu_class=str(ours["cpu_class"]),
            flash_bytes=int(areas[image["area"]]["bytes"]) - int(image["header_bytes"]),
            ram_bytes=int(first["bytes"]),
            stack_bytes=int(ours["stack_bytes"]) + int(ours["handler_stack_bytes"]),
            more_memories=tuple(Ram(str(memory["name"]), int(memory["bytes"])) for memory in more),
            reserved_bytes=int(first["reserved_bytes"]) if more else 0,
            ram_name=str(first["name"]) if more else "ram",
            model_slot_bytes=int(areas["model_0"]["bytes"]) if "model_0" in areas else 0,
        )
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"board manifest {path} is incomplete: {error!r}") from error
