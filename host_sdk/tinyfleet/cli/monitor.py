"""``tinyfleet monitor``."""

from __future__ import annotations

import asyncio
import sys
from typing import Annotated

import typer

from tinyfleet.cli.output import JsonFlag, print_json


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("monitor", epilog="Example: tinyfleet monitor serial:///dev/ttyACM0?baud=115200")(monitor_command)


def monitor_command(
    url: Annotated[str, typer.Argument(metavar="URL", help="serial:///dev/ttyACM0, serial://usb:SERIAL or tcp://HOST:PORT.")],
    as_json: JsonFlag = False,
) -> None:
    """Show the text that a board prints, until Ctrl-C; management messages between are left out.

    A UART has one host: stop whatever else talks to the board. Serial ports were tried with pseudo-terminals, not yet
    with a real board.
    """
    asyncio.run(_monitor(url, as_json))


async def _monitor(url: str, as_json: bool) -> None:
    from tinyfleet.link.framing import FrameDecoder  # noqa: PLC0415 - keeps --help fast
    from tinyfleet.link.opening import open_pipe  # noqa: PLC0415

    def show(line: bytes) -> None:
        text = line.decode(errors="backslashreplace")
        if as_json:
            print_json({"text": text})
        else:
            sys.stdout.write(text + "\n")
        sys.stdout.flush()

    decoder = FrameDecoder(on_text=show)
    async with open_pipe(url) as pipe:
        while True:
            decoder.feed(await pipe.read())
