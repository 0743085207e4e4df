"""``tinyfleet build``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tinyfleet.cli.output import ArenaBudget, JsonFlag, print_facts, print_json, progress_console


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("build", epilog="Example: tinyfleet build --board mps2_an386 --model model.tflite -o build/sensor")(build_command)


def build_command(
    board: Annotated[str, typer.Option(help="Board id, for example mps2_an386.")],
    model: Annotated[Path, typer.Option(metavar="DIR|MODEL.tflite", help="Folder that tinyfleet compile wrote, or a model to compile.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for firmware.elf, firmware.bin and firmware.map.")],
    app: Annotated[str, typer.Option(help="App in firmware/apps, or the path of a folder of your own.")] = "sensor",
    arena_budget: ArenaBudget = None,
    as_json: JsonFlag = False,
) -> None:
    """Build firmware with PlatformIO, offline."""
    from tinyfleet.board import UNTRIED, load_board  # noqa: PLC0415 - keeps --help fast
    from tinyfleet.platformio_build import build_firmware  # noqa: PLC0415
    from tinyfleet_codegen.compile import compile_model  # noqa: PLC0415
    from tinyfleet_codegen.package import load_package  # noqa: PLC0415

    model_dir = model
    is_tried = load_board(board).is_tried
    with progress_console.status(f"building {app} for {board}"):
        if not model.is_dir():
            model_dir = output / "model"
            compile_model(load_package(model), board, model_dir, arena_budget_bytes=arena_budget)
        built = build_firmware(board, model_dir, output, app=app)
    if as_json:
        print_json(
            {
                "board": board,
                "tried": is_tried,
                "app": app,
                "elf": built.elf,
                "bin": built.image,
                "map": built.linker_map,
                "flash_bytes": built.flash_bytes,
                "ram_bytes": built.ram_bytes,
                "seconds": round(built.seconds, 3),
            }
        )
        return
    print_facts(
        [
            ("board", board if is_tried else f"{board} ({UNTRIED})"),
            ("flash", f"{built.flash_bytes / 1024:.1f} KiB"),
            ("ram", f"{built.ram_bytes / 1024:.1f} KiB"),
            ("wrote", f"{built.elf}, firmware.bin, firmware.map ({built.seconds:.1f} s)"),
        ]
    )
