"""``tinyfleet compile``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tinyfleet.cli.output import JsonFlag, print_facts, print_json


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("compile", epilog="Example: tinyfleet compile kws.tflite --board mps2_an386 -o build/kws")(compile_command)


def compile_command(
    model: Annotated[Path, typer.Argument(metavar="MODEL.tflite", help="An int8 model; a sidecar MODEL.json holds front end and labels.")],
    board: Annotated[str, typer.Option(help="Board id, for example mps2_an386.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for model.c, model.h and report.json.")],
    as_json: JsonFlag = False,
) -> None:
    """Compile a quantized model to C for a board."""
    from tinyfleet_codegen.compile import compile_model  # noqa: PLC0415 - keeps --help fast
    from tinyfleet_codegen.emit.report import report_dict  # noqa: PLC0415
    from tinyfleet_codegen.package import load_package  # noqa: PLC0415
    from tinyfleet_codegen.target import load_target  # noqa: PLC0415

    compiled = compile_model(load_package(model), board, output)
    if as_json:
        print_json(report_dict(compiled))
        return
    ram = load_target(board).ram_bytes
    share = 100 * compiled.arena_bytes / ram
    print_facts(
        [
            ("model", f"{compiled.model_id.hex()[:8]}  {model.name}, {len(compiled.layers)} ops, {compiled.macs / 1e6:.2f} M MACs"),
            ("weights", f"{compiled.weights_bytes / 1024:.1f} KiB in flash"),
            (
                "arena",
                f"{compiled.arena_bytes / 1024:.1f} KiB of {ram / 1024:.1f} KiB ({share:.0f} %), "
                f"lower bound {compiled.arena_lower_bound_bytes / 1024:.1f} KiB",
            ),
            ("wrote", f"{output / 'model.c'}, model.h, report.json"),
        ]
    )
