"""``tinyfleet compile``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tinyfleet.cli.output import ArenaBudget, JsonFlag, print_facts, print_json

if TYPE_CHECKING:
    from tinyfleet_codegen.compiled import CompiledModel


class Format(StrEnum):
    """What is written."""

    C = "c"
    BLOB = "blob"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("compile", epilog="Example: tinyfleet compile kws.tflite --board mps2_an386 -o build/kws")(compile_command)


def compile_command(
    model: Annotated[Path, typer.Argument(metavar="MODEL.tflite", help="An int8 model; a sidecar MODEL.json holds front end and labels.")],
    board: Annotated[str, typer.Option(help="Board id, for example mps2_an386; host for the board in memory.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for model.c, model.h, report.json and the blob model.tfm.")],
    output_format: Annotated[
        Format, typer.Option("--format", help="C, or a blob that a device loads; its folder can be built too.")
    ] = Format.C,
    arena_budget: ArenaBudget = None,
    swap_arena: Annotated[
        int, typer.Option(min=0, metavar="BYTES", help="Let the firmware take other models at run time, with arenas up to this; 0: no.")
    ] = 0,
    as_json: JsonFlag = False,
) -> None:
    """Compile a quantized model for a board, to C or to a blob."""
    from tinyfleet_codegen.compile import compile_model  # noqa: PLC0415 - keeps --help fast
    from tinyfleet_codegen.emit.report import report_dict  # noqa: PLC0415
    from tinyfleet_codegen.firmware_tree import HOST_CLASS  # noqa: PLC0415
    from tinyfleet_codegen.package import load_package  # noqa: PLC0415
    from tinyfleet_codegen.target import load_target  # noqa: PLC0415

    compiled = compile_model(
        load_package(model), board, output, blob=output_format is Format.BLOB, arena_budget_bytes=arena_budget, swap_arena_bytes=swap_arena
    )
    if as_json:
        print_json(report_dict(compiled))
        return
    target = load_target(board) if board != HOST_CLASS else None
    ram = None if target is None else target.free_bytes if target.more_memories else target.ram_bytes
    others = "model.c, model.h" if output_format is Format.BLOB else "model.h"
    print_facts(
        [
            ("model", f"{compiled.model_id.hex()[:8]}  {model.name}, {len(compiled.layers)} ops, {compiled.macs / 1e6:.2f} M MACs"),
            ("weights", f"{compiled.weights_bytes / 1024:.1f} KiB in flash"),
            (
                "arena",
                f"{compiled.arena_bytes / 1024:.1f} KiB{_share(compiled.arena_bytes, ram)}, "
                f"lower bound {compiled.arena_lower_bound_bytes / 1024:.1f} KiB",
            ),
            *((("memories", _memories(compiled)),) if compiled.memories else ()),
            *((("together", _together(compiled)),) if any(layer.streamed for layer in compiled.layers) else ()),
            ("wrote", f"{output / ('model.tfm' if output_format is Format.BLOB else 'model.c')}, {others}, report.json"),
        ]
    )


def _share(arena_bytes: int, ram_bytes: int | None) -> str:
    return "" if ram_bytes is None else f" of {ram_bytes / 1024:.1f} KiB ({100 * arena_bytes / ram_bytes:.0f} %)"


def _memories(compiled: CompiledModel) -> str:
    used = {part.memory: part.bytes for part in compiled.plan.parts}
    return ", ".join(
        f"{used.get(i, 0) / 1024:.1f} KiB of {m.free_bytes / 1024:.1f} KiB in {m.name}" for i, m in enumerate(compiled.memories)
    )


def _together(compiled: CompiledModel) -> str:
    groups = [f"ops {', '.join(map(str, layer.streamed))}" for layer in compiled.layers if layer.streamed]
    return f"{'; '.join(groups)}: some rows or pixels at a time, what lies between them is never whole"
