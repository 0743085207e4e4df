"""``tinyfleet bench``."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tinyfleet.cli import bench_gateway
from tinyfleet.cli.output import ArenaBudget, JsonFlag, print_facts, print_json, progress_console

if TYPE_CHECKING:
    from tinyfleet.bench.engine import Comparison


def register(app: typer.Typer) -> None:
    """Add the group."""
    bench = typer.Typer(no_args_is_help=True, help="The measurements behind every published number.")
    bench.command("engine", epilog="Example: tinyfleet bench engine --models mlperf_tiny --board mps2_an386 --board mps2_an385_v6m")(
        bench_engine_command
    )
    bench.command("mlperf", epilog="Example: tinyfleet bench mlperf kws_ref_model.tflite --board mps2_an386")(bench_mlperf_command)
    bench_gateway.add_command(bench)
    bench.command("link", epilog="Example: tinyfleet bench link kws_ref_model.tflite --board mps2_an386")(bench_link_command)
    bench.command("ble", epilog="Example: tinyfleet bench ble --boot build/signed --board mps2_an386")(bench_ble_command)
    bench.command("swap", epilog="Example: tinyfleet bench swap ad01_int8.tflite --board mps2_an386")(bench_swap_command)
    app.add_typer(bench, name="bench")


class Place(StrEnum):
    """Where an engine is measured."""

    BOARDS = "boards"
    HOST = "host"


def bench_engine_command(
    models: Annotated[Path, typer.Option(envvar="TINYFLEET_MLPERF_TINY", help="Folder with the MLPerf Tiny models.")],
    on: Annotated[Place, typer.Option(help="Emulated boards, or this machine.")] = Place.BOARDS,
    board: Annotated[list[str], typer.Option(help="Emulated board; may be given several times.")] = ["mps2_an386"],  # noqa: B006
    model: Annotated[list[str], typer.Option(help="Only this model of the baseline, for example kws; may be given several times.")] = [],  # noqa: B006
    baseline: Annotated[Path, typer.Option(help="Figures of others.")] = Path("hil_tests/baseline.toml"),
    arena_budget: ArenaBudget = None,
    as_json: JsonFlag = False,
) -> None:
    """One inference against TensorFlow Lite Micro with CMSIS-NN: instructions (counted by the emulator; not cycles), flash, RAM.

    Flash is the whole image of firmware/apps/bench: code, weights, tables per channel. RAM is arena, variables and used stack.

    On the host: processor time of one inference against TFLite Micro's interpreter.
    """
    from tinyfleet.bench.engine import bench_engine  # noqa: PLC0415 - keeps --help fast

    if on is Place.HOST:
        _bench_host(models, baseline, model, as_json)
        return
    results = []
    if not as_json:
        typer.echo(_HEADER)
    for comparison in bench_engine(board, models, baseline, only=model, arena_budget_bytes=arena_budget):
        results.append(_as_dict(comparison))
        if not as_json:
            typer.echo(_row(comparison))
    if as_json:
        print_json(results)


def _bench_host(models: Path, baseline: Path, only: list[str], as_json: bool) -> None:
    from tinyfleet.bench.engine import load_baseline, select  # noqa: PLC0415
    from tinyfleet.bench.host import compare_on_host  # noqa: PLC0415
    from tinyfleet_codegen.package import load_package  # noqa: PLC0415

    results = []
    if not as_json:
        typer.echo(f"{'model':<6}{'tflite-micro':>14}{'tinyfleet':>12}{'ratio':>7}")
    for entry in select(load_baseline(baseline, "host"), only):
        comparison = compare_on_host(load_package(models / entry.file))
        results.append(asdict(comparison) | {"model": entry.model, "ratio": comparison.ratio})
        if not as_json:
            ms = f"{comparison.theirs_s * 1000:>11.3f} ms{comparison.ours_s * 1000:>9.3f} ms"
            typer.echo(f"{entry.model:<6}{ms}{comparison.ratio:>7.2f}")
    if as_json:
        print_json(results)


def bench_mlperf_command(
    model: Annotated[Path, typer.Argument(metavar="MODEL.tflite", help="The model that the board runs.")],
    board: Annotated[str, typer.Option(help="Emulated board.")] = "mps2_an386",
    on: Annotated[str | None, typer.Option(help="Device URL of a board that runs firmware/apps/mlperf_tiny with this model.")] = None,
    count: Annotated[int, typer.Option("-n", min=1, help="Inputs of the accuracy mode.")] = 10,
    inferences: Annotated[int, typer.Option(min=1, max=1_000_000, help="Inferences of each of the five performance windows.")] = 10,
    as_json: JsonFlag = False,
) -> None:
    """Drive a board by the MLPerf Tiny serial protocol: accuracy mode against the oracle, performance mode on the board's clock."""
    import asyncio  # noqa: PLC0415 - keeps --help fast
    from tempfile import TemporaryDirectory  # noqa: PLC0415

    from tinyfleet.bench.mlperf import PERFORMANCE_WINDOWS, drive, drive_emulated  # noqa: PLC0415
    from tinyfleet_codegen.package import load_package  # noqa: PLC0415

    package = load_package(model)
    if on is not None:
        report = asyncio.run(drive(on, package, count=count, inferences=inferences))
    else:
        with TemporaryDirectory(prefix="tinyfleet-mlperf-") as folder:
            report = drive_emulated(board, package, Path(folder), count=count, inferences=inferences)
    if as_json:
        print_json(asdict(report))
    else:
        clock = "board's clock" if on is not None else "emulated clock: instructions, not cycles"
        windows = f"median of {PERFORMANCE_WINDOWS} windows of {report.inferences}"
        print_facts(
            [
                ("device", f"{report.device}, {report.model} at {report.url}"),
                ("accuracy", f"{report.equal} of {report.checked} results equal to {report.oracle}"),
                ("performance", f"{report.per_second:.3f} inferences a second ({clock}; {windows})"),
            ]
        )
    if report.equal < report.checked:
        raise typer.Exit(1)


def bench_link_command(
    model: Annotated[Path, typer.Argument(metavar="MODEL.tflite", help="The model that the board runs.")],
    board: Annotated[str, typer.Option(help="Emulated board that takes updates.")] = "mps2_an386",
    rounds: Annotated[int, typer.Option(min=1, max=100, help="Of each path; their median counts.")] = 3,
    as_json: JsonFlag = False,
) -> None:
    """How fast firmware and models get into a board, and records out of it: over an emulated UART, and in this process.

    Wall time: run it on an idle machine. An emulated UART has no baud rate; docs/guides/updates.md says what a real one gives.
    """
    from tinyfleet.bench.link import bench_link  # noqa: PLC0415 - keeps --help fast
    from tinyfleet_codegen.package import load_package  # noqa: PLC0415

    with progress_console.status(f"building for {board}, then measuring"):
        rates = bench_link(load_package(model), board, rounds=rounds)
    if as_json:
        print_json([asdict(rate) for rate in rates])
        return
    typer.echo(f"{'path':<36}{'KiB/s':>9}{'least':>9}{'most':>9}{'asked':>7}{'ratio':>7}")
    for rate in rates:
        figures = f"{rate.kib_per_s:>9,.1f}{rate.least:>9,.1f}{rate.most:>9,.1f}{rate.asked_kib_per_s:>7,.0f}{rate.ratio:>7.2f}"
        typer.echo(f"{rate.path:<36}{figures}")


def bench_ble_command(
    boot: Annotated[Path, typer.Option(metavar="DIR", help="Folder that tinyfleet build --signed wrote.")],
    board: Annotated[str, typer.Option(help="Emulated board.")] = "mps2_an386",
    boards: Annotated[int, typer.Option(min=1, max=64, help="Boards that idle on the air at once.")] = 8,
    rounds: Annotated[int, typer.Option(min=1, max=100, help="Connections and restarts; their median counts.")] = 5,
    as_json: JsonFlag = False,
) -> None:
    """Bluetooth LE of emulated boards in the air: what idle boards cost, how fast one connects, restarts, takes and gives.

    There is no radio in it: none of these is a radio's speed.
    """
    from tinyfleet.bench.ble import bench_ble  # noqa: PLC0415 - keeps --help fast

    figures = bench_ble(boot, board, boards=boards, rounds=rounds)
    if as_json:
        print_json(asdict(figures))
        return
    missing = f"{figures.fleet_missing} missing"
    pulled = f"{figures.fleet_records} records of {figures.boards} boards at once in {figures.fleet_s:.1f} s, {missing}"
    idle = f"{figures.boards} boards {figures.idle_cores:.1%} of a core in all, the air {figures.air_cores:.1%}"
    print_facts(
        [
            ("advertising", f"{figures.boards} boards {figures.advertising_s:.1f} s after the first was started"),
            ("idle", idle),
            ("connect", f"{figures.connect_s:.2f} s: scan, connect, discover, session"),
            ("reset", f"{figures.reset_s:.2f} s from the request until the next session"),
            ("upload", f"{figures.upload_kib_per_s:.1f} KiB/s, a firmware image in a session"),
            ("notifications", f"{figures.notify_kb_per_s:.0f} kB/s, records in a session"),
            ("pulled", pulled),
        ]
    )


def bench_swap_command(
    models: Annotated[list[Path], typer.Argument(metavar="MODEL.tflite...", help="Models to swap; each has a build of its own.")],
    board: Annotated[str, typer.Option(help="Emulated board that takes models.")] = "mps2_an386",
    as_json: JsonFlag = False,
) -> None:
    """Longest time between two answers while a package of the same model is proved and takes over, and the size of a delta.

    The delta is for other weights in the last layer alone. Times are the emulator's: instructions, not cycles.
    """
    from tinyfleet.bench.swap import bench_swap  # noqa: PLC0415 - keeps --help fast
    from tinyfleet_codegen.package import load_package  # noqa: PLC0415

    results = []
    for model in models:
        figures = bench_swap(load_package(model), board)
        results.append(asdict(figures) | {"gap_inferences": figures.gap_inferences})
        if as_json:
            continue
        delta = (
            "does not pay"
            if figures.delta_bytes is None
            else f"{figures.delta_bytes:,} bytes, {figures.delta_bytes / figures.package_bytes:.1%}"
        )
        gap = f"{figures.max_gap_us} us = {figures.gap_inferences:.2f} inferences of {figures.latency_us} us, every {figures.period_ms} ms"
        print_facts(
            [
                ("model", f"{figures.model} on {figures.board}"),
                ("package", f"{figures.package_bytes:,} bytes"),
                ("delta", f"{delta}; the last layer is {figures.head_share:.1%} of the constants"),
                ("longest gap", f"{gap}; {figures.answers} answers, {figures.late} late"),
            ]
        )
    if as_json:
        print_json(results)


_HEADER = (
    f"{'board':<16}{'model':<6}{'instructions':>13}{'ratio':>7}{'per MAC':>9}"
    f"{'flash':>9}{'ratio':>7}{'code':>8}{'weights':>9}{'tables':>8}"
    f"{'RAM':>9}{'ratio':>7}{'arena':>8}{'static':>8}{'stack':>7}{'start-up':>10}"
)


def _row(comparison: Comparison) -> str:
    ours, flash = comparison.ours, comparison.ours.flash
    return (
        f"{ours.board:<16}{comparison.baseline.model:<6}"
        f"{ours.instructions:>13,}{_ratio(comparison.instructions_ratio):>7}{ours.instructions / ours.macs:>9.2f}"
        f"{flash.bytes:>9,}{_ratio(comparison.flash_ratio):>7}{flash.code_bytes:>8,}{flash.weights_bytes:>9,}{flash.tables_bytes:>8,}"
        f"{ours.ram_bytes:>9,}{_ratio(comparison.ram_ratio):>7}{ours.arena_bytes:>8,}{ours.static_bytes:>8,}{ours.stack_bytes:>7,}"
        f"{ours.startup_instructions:>10,}"
    )


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _as_dict(comparison: Comparison) -> dict[str, Any]:
    ours = comparison.ours
    return {
        "model": comparison.baseline.model,
        "baseline": asdict(comparison.baseline),
        "ours": asdict(ours) | {"flash_bytes": ours.flash.bytes, "ram_bytes": ours.ram_bytes},
        "ratios": {
            "instructions": comparison.instructions_ratio,
            "flash": comparison.flash_ratio,
            "ram": comparison.ram_ratio,
        },
    }
