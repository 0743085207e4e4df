"""``tinyfleet fleet``."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from tinyfleet.cli.announce import announce
from tinyfleet.cli.output import JsonFlag

group = typer.Typer(help="Many devices at once.", no_args_is_help=True, rich_markup_mode=None)


def register(app: typer.Typer) -> None:
    """Add the group of commands."""
    app.add_typer(group, name="fleet")


@group.callback()
def _fleet() -> None:
    """Many devices at once."""


@group.command(epilog="Example: tinyfleet fleet simulate 200 --period-ms 50")
def simulate(
    count: Annotated[int, typer.Argument(min=1, max=1000, help="How many devices.")],
    *,
    period_ms: Annotated[int, typer.Option(min=0, max=60000, help="Time between two records of a device; 0: they make none.")] = 50,
    seconds: Annotated[float | None, typer.Option(min=0, help="Their time ends after that long; they still answer.")] = None,
    model: Annotated[Path | None, typer.Option(metavar="M.tflite", help="The model that they run; without: a tiny one.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Run many devices in this process, each behind a TCP port of its own; prints their addresses once, runs until Ctrl-C.

    They are the firmware itself, compiled for this machine. Each starts with a new identity.
    """
    asyncio.run(_simulate(count, period_ms, seconds, model, as_json))


async def _simulate(count: int, period_ms: int, seconds: float | None, model: Path | None, as_json: bool) -> None:
    from tinyfleet.emulator.simulated import TINY_MODEL, SimulatedFleet  # noqa: PLC0415 - keeps --help fast
    from tinyfleet_codegen.compile import compile_model  # noqa: PLC0415
    from tinyfleet_codegen.package import load_package  # noqa: PLC0415

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    with tempfile.TemporaryDirectory(prefix="tinyfleet-") as folder:
        compile_model(load_package(model or TINY_MODEL), "host", Path(folder))
        async with SimulatedFleet.start(Path(folder), count) as fleet:
            if period_ms:
                await fleet.sample(period_ms)
            announce({"count": count, "period_ms": period_ms, "devices": [board.url for board in fleet.boards]}, as_json)
            running = asyncio.create_task(fleet.run())
            try:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), seconds)
                running.cancel()
                await stop.wait()
            finally:
                running.cancel()
