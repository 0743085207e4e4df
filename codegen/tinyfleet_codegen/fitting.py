"""Whether a model fits a board, and what to change when it does not."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tinyfleet_codegen.compiled import CompiledModel
from tinyfleet_codegen.errors import ConfigError, DoesNotFit
from tinyfleet_codegen.plan import covered_bytes, fullest_step
from tinyfleet_codegen.target import Target, board_names, load_target

_NAMED = 3
"""Tensors and boards that a message names."""


@dataclass(frozen=True, slots=True)
class Peak:
    """The step at which the arena is fullest.

    Attributes:
        step: Position among the layers; -1 is before the first.
        label: The layer, for people.
        used_bytes: What its places cover; bytes that two share count once.
        places: What is in use then, largest first: name and bytes.
    """

    step: int
    label: str
    used_bytes: int
    places: tuple[tuple[str, int], ...]

    @property
    def text(self) -> str:
        """For messages, for example ``op 2 (CONV_2D) holds 36912: conv_2 36864, ...``."""
        named = ", ".join(f"'{name}' {count}" for name, count in self.places[:_NAMED])
        return f"{self.label} holds {self.used_bytes}: {named}{', ...' if len(self.places) > _NAMED else ''}"


def find_peak(model: CompiledModel) -> Peak:
    """The first step at which no other one covers more of the arena."""

    step = fullest_step(model.plan, len(model.layers))
    live = [a for a in model.plan.allocations if a.first <= step <= a.last]
    label = model.layers[step].label if step >= 0 else "the input"
    places = [(f"scratch of {label}" if not a.tensors else model.graph.tensors[a.tensors[-1]].name.split(";")[0], a.bytes) for a in live]
    return Peak(step, label, covered_bytes(live), tuple(sorted(places, key=lambda place: (-place[1], place[0]))))


def check_fits(model: CompiledModel, target: Target) -> None:
    """Refuse a model whose arena or constants are too large for a board.

    Raises:
        DoesNotFit: with what is largest, and what would make it fit.
    """
    free, memories = target.free_bytes, target.memories
    if any(part.bytes > memories[part.memory].free_bytes for part in model.plan.parts):
        if target.more_memories:
            rooms = " and ".join(f"{memory.free_bytes} in {memory.name}" for memory in memories)
            has = f"has {rooms}, of which each tensor needs one"
            # What is in one memory cannot use what is free in another.
            free = min(free, model.arena_bytes - sum(max(0, part.bytes - memories[part.memory].free_bytes) for part in model.plan.parts))
        else:
            has = f"has {free} of RAM beside its stacks"
        raise DoesNotFit(
            f"the arena needs {model.arena_bytes} bytes, board {target.board} {has}; {find_peak(model).text}",
            hint=f"{_smaller_input(model, free)}fewer channels there (to {free / model.arena_bytes:.0%}), or {_larger(target, model)}",
        )
    if model.weights_bytes > target.flash_bytes:
        heaviest = sorted(model.layers, key=lambda layer: -layer.constant_bytes)[:_NAMED]
        named = ", ".join(f"{layer.label} {layer.constant_bytes}" for layer in heaviest)
        raise DoesNotFit(
            f"weights need {model.weights_bytes} bytes, board {target.board} has {target.flash_bytes} of flash (largest: {named})",
            hint=f"fewer channels there (to {math.sqrt(target.flash_bytes / model.weights_bytes):.0%}), or {_larger(target, model)}",
        )


def _smaller_input(model: CompiledModel, free: int) -> str:
    """Activations of an image grow with its area."""
    shape = model.input.shape
    if len(shape) != 4 or min(shape[1:3]) < 2:
        return ""
    share = math.sqrt(max(0, free) / model.arena_bytes)
    height, width = (max(1, math.floor(side * share)) for side in shape[1:3])
    return f"an input of about {height} x {width} instead of {shape[1]} x {shape[2]}, or "


def _larger(target: Target, model: CompiledModel) -> str:
    """Boards that have the room, smallest first."""
    found = []
    for name in board_names():
        try:
            other = load_target(name)
        except ConfigError:
            continue
        if max(memory.free_bytes for memory in other.memories) > model.arena_bytes and other.flash_bytes > model.weights_bytes:
            found.append((other.free_bytes, name))
    names = [name for _, name in sorted(found)[:_NAMED]]
    return (
        f"a larger board: {', '.join(names)}" if names else f"a board with more than {model.arena_bytes + target.stack_bytes} bytes of RAM"
    )
