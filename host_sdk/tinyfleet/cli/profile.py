"""``tinyfleet profile``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tinyfleet.cli.output import JsonFlag, print_facts, print_json

if TYPE_CHECKING:
    from tinyfleet.profile import ModelProfile


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("profile", epilog="Example: tinyfleet profile kws.tflite --board mps2_an386")(profile_command)


def profile_command(
    model: Annotated[Path, typer.Argument(metavar="MODEL.tflite", help="The model to measure.")],
    board: Annotated[str, typer.Option(help="Emulated board, for example mps2_an386.")],
    as_json: JsonFlag = False,
) -> None:
    """Measure a model on an emulated board: instructions per layer, flash, RAM."""
    from tinyfleet.profile import profile_model  # noqa: PLC0415 - keeps --help fast
    from tinyfleet_codegen.package import load_package  # noqa: PLC0415

    profile = profile_model(load_package(model), board)
    if as_json:
        print_json(asdict(profile))
    else:
        _print_profile(profile)


def _print_profile(profile: ModelProfile) -> None:
    print_facts(
        [
            ("model", f"{profile.model_id.hex()[:8]}  {profile.name} on {profile.board}"),
            ("instructions", f"{profile.instructions:,} per inference ({profile.instructions / max(1, profile.macs):.2f} per MAC)"),
            ("flash", f"{_kib(profile.flash_bytes)}: weights {_kib(profile.weights_bytes)}, all else {_kib(profile.code_bytes)}"),
            ("RAM", f"arena {_kib(profile.arena_bytes)}, static {_kib(profile.static_bytes)}, stack used {profile.stack_bytes} bytes"),
        ]
    )
    typer.echo(f"{'op':>4}  {'kind':<20}{'output':<18}{'MACs':>11}{'instructions':>14}{'per MAC':>9}{'share':>8}")
    for layer in profile.layers:
        shape = "x".join(str(d) for d in layer.output_shape)
        per_mac = f"{layer.instructions / layer.macs:.2f}" if layer.macs else ""
        share = 100 * layer.instructions / max(1, profile.instructions)
        typer.echo(f"{layer.op_index:>4}  {layer.op:<20}{shape:<18}{layer.macs:>11,}{layer.instructions:>14,}{per_mac:>9}{share:>7.1f}%")


def _kib(count: int) -> str:
    return f"{count / 1024:.1f} KiB"
