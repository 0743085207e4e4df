"""``tinyfleet air``."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from pathlib import Path
from typing import Annotated

import typer

from tinyfleet.cli.announce import announce
from tinyfleet.cli.output import JsonFlag, print_error
from tinyfleet_codegen.errors import ConfigError

group = typer.Typer(help="Bluetooth LE without a radio, for emulated boards and tests.", no_args_is_help=True, rich_markup_mode=None)


def register(app: typer.Typer) -> None:
    """Add the group of commands."""
    app.add_typer(group, name="air")


@group.callback()
def _group() -> None:
    pass


@group.command(epilog="Example: tinyfleet air serve --port 7700 --faults faults.toml")
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on; who reaches it is on the air.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 0,
    faults: Annotated[
        Path | None, typer.Option(metavar="FILE", help="What goes wrong on purpose (docs/guides/ble.md); read again at SIGHUP.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Run an air until interrupted: boards and hosts that connect to it by TCP find each other by Bluetooth LE. Prints its address once."""
    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(_serve(host, port, faults, as_json))


async def _serve(host: str, port: int, faults: Path | None, as_json: bool) -> None:
    from tinyfleet.emulator.air import Air, AirFaults, load_faults  # noqa: PLC0415 - keeps --help fast

    async with await Air.start(host=host, port=port, faults=load_faults(faults) if faults else AirFaults()) as air:

        def reload() -> None:
            assert faults is not None
            try:
                air.faults = load_faults(faults)
            except ConfigError as error:
                print_error(f"{error}; the faults stay as they were", error.hint)

        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, task.cancel)
        if faults is not None:
            loop.add_signal_handler(signal.SIGHUP, reload)
        announce({"air": air.address}, as_json)
        await air.serve_forever()
