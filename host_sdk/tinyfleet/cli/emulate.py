"""``tinyfleet emulate``."""

from __future__ import annotations

import json
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from tinyfleet.cli.output import JsonFlag, print_facts
from tinyfleet_codegen.errors import LinkClosed, UsageError

if TYPE_CHECKING:
    from tinyfleet.emulator import EmulatedBoard


class _Stopped(Exception):
    """Ctrl-C or SIGTERM: the way this command ends."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("emulate", epilog="Example: tinyfleet emulate mps2_an386 --build-dir build/sensor --nvm board.nvm")(emulate_command)


def emulate_command(
    board: Annotated[str, typer.Argument(help="Board id, for example mps2_an386.")],
    *,
    elf: Annotated[Path | None, typer.Option(help="The firmware.")] = None,
    build_dir: Annotated[Path | None, typer.Option(help="Folder that tinyfleet build wrote; its firmware.elf runs.")] = None,
    boot: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder that tinyfleet build --signed wrote: its bootloader runs, a new NVM gets slot 0."),
    ] = None,
    nvm: Annotated[
        Path | None, typer.Option(help="The board's memory over restarts, made when it is not there; without: a new identity.")
    ] = None,
    pty: Annotated[bool, typer.Option("--pty", help="Offer the UART as a pseudo-terminal instead of a TCP port.")] = False,
    device_id: Annotated[str | None, typer.Option(metavar="HEX", help="Identity of a new NVM file, 16 bytes; without: random.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Start an emulated board, print its addresses once, run it until Ctrl-C."""
    if sum(way is not None for way in (elf, build_dir, boot)) != 1:
        raise UsageError("emulate needs one of --elf, --build-dir and --boot", hint="tinyfleet build makes the firmware")
    if boot is not None:
        firmware = boot / "bootloader" / "bootloader.elf"
    else:
        firmware = elf if elf is not None else Path(build_dir or ".") / "firmware.elf"
    identity = _parse_device_id(device_id)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    try:
        with (
            tempfile.TemporaryDirectory(prefix="tinyfleet-") as scratch,
            _start(board, firmware, nvm or Path(scratch) / "board.nvm", identity, pty, boot) as emulated,
        ):
            _print_addresses(board, emulated, as_json)
            exit_code = emulated.wait()
            raise LinkClosed(f"QEMU ended by itself (exit code {exit_code}): {emulated.output() or 'it printed nothing'}")
    except _Stopped:
        return


def _start(board: str, firmware: Path, nvm: Path, identity: bytes | None, pty: bool, boot: Path | None) -> EmulatedBoard:
    from tinyfleet.emulator import EmulatedBoard, create_nvm  # noqa: PLC0415 - keeps --help fast

    if boot is not None and not nvm.exists():
        from tinyfleet.image import find_factory_image, write_factory_slot  # noqa: PLC0415

        image = find_factory_image(boot).read_bytes()
        create_nvm(nvm, board, identity)
        try:
            write_factory_slot(nvm, board, image)
        except BaseException:
            nvm.unlink()  # Half a board would be taken for a whole one next time.
            raise
    return EmulatedBoard.start(board, firmware, nvm, device_id=identity, pty=pty)


def _stop(_number: int, _frame: FrameType | None) -> None:
    # A second Ctrl-C must not break the orderly end that the first one began.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise _Stopped


def _parse_device_id(text: str | None) -> bytes | None:
    if text is None:
        return None
    try:
        return bytes.fromhex(text)
    except ValueError as error:
        raise UsageError(f"--device-id {text!r} is not hexadecimal", hint="32 digits, for example from: openssl rand -hex 16") from error


def _print_addresses(board: str, emulated: EmulatedBoard, as_json: bool) -> None:
    nvm = str(emulated.nvm.absolute())
    if as_json:
        # One line, flushed: a program reads it and goes on.
        facts = {
            "board": board,
            "smp": emulated.url,
            "pty": emulated.pty,
            "nvm": nvm,
            "device_id": emulated.device_id.hex(),
            "pid": emulated.pid,
        }
        sys.stdout.write(json.dumps(facts) + "\n")
    else:
        rows = [("board", board), ("smp", emulated.url), ("nvm", nvm), ("device id", emulated.device_id.hex())]
        print_facts([*rows, ("stop", "Ctrl-C")])
    sys.stdout.flush()
