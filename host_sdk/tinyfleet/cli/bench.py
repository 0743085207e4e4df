"""``tinyfleet bench``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from tinyfleet.cli.output import JsonFlag, print_json


def register(app: typer.Typer) -> None:
    """Add the group."""
    bench = typer.Typer(no_args_is_help=True, help="The measurements behind every published number.")
    bench.command("engine", epilog="Example: tinyfleet bench engine --models mlperf_tiny")(bench_engine_command)
    app.add_typer(bench, name="bench")


def bench_engine_command(
    models: Annotated[Path, typer.Option(envvar="TINYFLEET_MLPERF_TINY", help="Folder with the MLPerf Tiny models.")],
    board: Annotated[str, typer.Option(help="Emulated board.")] = "mps2_an386",
    baseline: Annotated[Path, typer.Option(help="Figures of others.")] = Path("hil_tests/baseline.toml"),
    as_json: JsonFlag = False,
) -> None:
    """Instructions per inference against TensorFlow Lite Micro with CMSIS-NN (counted by the emulator; not cycles)."""
    from tinyfleet.bench.engine import bench_engine  # noqa: PLC0415 - keeps --help fast

    results = []
    if not as_json:
        typer.echo(f"{'model':<8}{'theirs':>14}{'ours':>14}{'ratio':>8}{'per MAC':>9}{'arena':>10}{'weights':>10}")
    for comparison in bench_engine(board, models, baseline):
        ours = comparison.profile
        results.append(
            {
                "model": comparison.baseline.model,
                "baseline": asdict(comparison.baseline),
                "profile": asdict(ours),
                "ratio": comparison.instructions_ratio,
            }
        )
        if not as_json:
            theirs = comparison.baseline
            ratios = f"{comparison.instructions_ratio:>8.2f}{ours.instructions / ours.macs:>9.2f}"
            counts = f"{theirs.instructions:>14,}{ours.instructions:>14,}{ratios}"
            typer.echo(f"{theirs.model:<8}{counts}{ours.arena_bytes:>10,}{ours.weights_bytes:>10,}")
    if as_json:
        print_json(results)
