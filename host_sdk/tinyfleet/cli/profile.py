"""``tinyfleet profile``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tinyfleet.cli.output import ArenaBudget, JsonFlag, print_facts, print_json
from tinyfleet_codegen.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from tinyfleet.profile import ModelProfile, ProfileComparison


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("profile", epilog="Example: tinyfleet profile kws.tflite --board mps2_an386 --html kws.html")(profile_command)


def profile_command(
    model: Annotated[Path | None, typer.Argument(metavar="MODEL.tflite", help="The model to measure.")] = None,
    board: Annotated[str | None, typer.Option(help="Emulated board, for example mps2_an386.")] = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a page with plots, one file that needs nothing else.")] = None,
    compare: Annotated[
        tuple[Path, Path] | None, typer.Option(metavar="BEFORE AFTER", help="Compare two files that --json wrote; measures nothing.")
    ] = None,
    threshold: Annotated[float, typer.Option(min=0, help="With --compare: growth in percent above which the exit code is 1.")] = 3.0,
    arena_budget: ArenaBudget = None,
    as_json: JsonFlag = False,
) -> None:
    """Measure a model on an emulated board: instructions per layer, flash, RAM. Or compare two such measurements."""
    from tinyfleet.profile import compare_profiles, load_profile, profile_model, render_profile  # noqa: PLC0415 - keeps --help fast
    from tinyfleet_codegen.package import load_package  # noqa: PLC0415

    if compare is not None:
        if model is not None or html is not None:
            raise UsageError("--compare takes two profiles and measures nothing", hint="leave the model and --html out")
        comparison = compare_profiles(load_profile(compare[0]), load_profile(compare[1]), threshold)
        if as_json:
            print_json(asdict(comparison))
        else:
            _print_comparison(comparison)
        raise typer.Exit(1 if comparison.exceeded else 0)
    if model is None or board is None:
        raise UsageError("profile needs a model and --board", hint="tinyfleet profile M.tflite --board mps2_an386")
    profile = profile_model(load_package(model), board, arena_budget_bytes=arena_budget)
    if html is not None:
        try:
            html.write_text(render_profile(profile), encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"cannot write {html}: {error.strerror}", hint="choose another file") from error
    if as_json:
        print_json(asdict(profile))
    else:
        _print_profile(profile)


def _print_profile(profile: ModelProfile) -> None:
    flash = profile.flash
    print_facts(
        [
            ("model", f"{profile.model_id[:8]}  {profile.name} on {profile.board}"),
            ("instructions", f"{profile.instructions:,} per inference ({profile.instructions / max(1, profile.macs):.2f} per MAC)"),
            (
                "flash",
                f"{profile.flash_bytes:,} bytes: weights {flash.weights_bytes:,}, tables {flash.tables_bytes:,}, code {flash.code_bytes:,}",
            ),
            (
                "RAM",
                f"{profile.ram_bytes:,} bytes: arena {profile.arena_bytes:,} (lower bound {profile.arena_lower_bound_bytes:,}), "
                f"static {profile.static_bytes:,}, stack {profile.stack_bytes:,} (at most {profile.stack_bound_bytes:,})",
            ),
        ]
    )
    if profile.classes is not None:
        executed = profile.classes
        shares = ", ".join(f"{name} {count / executed.total:.1%}" for name, count in asdict(executed).items())
        typer.echo(f"executed: {shares}")
    else:
        typer.echo("executed: classes are not available: a core with Helium, too many to log, or they do not add up to the count")
    if (estimate := profile.estimate) is not None:
        typer.echo(
            f"estimate, no measurement: {estimate.cycles:,} cycles ({estimate.lowest_cycles:,} to {estimate.highest_cycles:,}), "
            f"model {estimate.model}: {estimate.assumptions}"
        )
        typer.echo(f"error of the estimate: {estimate.error}")
    elif profile.classes is not None or profile.no_estimate:
        typer.echo(f"no estimate of cycles: {profile.no_estimate}")
    total = max(1, sum(layer.instructions for layer in profile.layers))
    typer.echo(f"{'op':>4}  {'kind':<20}{'output':<18}{'MACs':>11}{'instructions':>14}{'per MAC':>9}{'share':>8}")
    for layer in profile.layers:
        shape = "x".join(str(d) for d in layer.output_shape)
        per_mac = "" if layer.instructions_per_mac is None else f"{layer.instructions_per_mac:.2f}"
        share = 100 * layer.instructions / total
        typer.echo(f"{layer.op_index:>4}  {layer.op:<20}{shape:<18}{layer.macs:>11,}{layer.instructions:>14,}{per_mac:>9}{share:>7.1f}%")


def _print_comparison(comparison: ProfileComparison) -> None:
    width = max(len(change.name) for change in (*comparison.figures, *comparison.layers))
    for change in (*comparison.figures, *comparison.layers):
        mark = f"  above {comparison.threshold_percent:g} %" if change.name in comparison.exceeded else ""
        typer.echo(f"{change.name:<{width}}{change.before:>14,}{change.after:>14,}{change.percent:>+9.2f} %{mark}")
