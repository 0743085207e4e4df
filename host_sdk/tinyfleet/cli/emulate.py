"""``tinyfleet emulate``."""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from tinyfleet.cli.output import JsonFlag, print_facts
from tinyfleet_codegen.errors import LinkClosed, UsageError
from tinyfleet_codegen.wire.ble import name_of

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
    ble: Annotated[
        bool, typer.Option("--ble", help="Put the board on the air, Bluetooth LE without a radio; on one of its own without --air.")
    ] = False,
    air: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="The air for --ble; tinyfleet air serve prints it.")] = None,
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
    if air is not None and not ble:
        raise UsageError("--air goes with --ble")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    try:
        with (
            tempfile.TemporaryDirectory(prefix="tinyfleet-") as scratch,
            _air(air) if ble else contextlib.nullcontext() as address,
            _start(board, firmware, nvm or Path(scratch) / "board.nvm", identity, pty, boot, address) as emulated,
        ):
            _print_addresses(board, emulated, address, as_json)
            exit_code = emulated.wait()
            raise LinkClosed(f"QEMU ended by itself (exit code {exit_code}): {emulated.output() or 'it printed nothing'}")
    except _Stopped:
        return


@contextlib.contextmanager
def _air(address: str | None) -> Iterator[str]:
    """The air that was named, or one of our own."""
    if address is not None:
        yield address
        return
    from tinyfleet.emulator.air import serve_air  # noqa: PLC0415 - an optional extra

    with serve_air() as air:
        yield air.address


def _start(board: str, firmware: Path, nvm: Path, identity: bytes | None, pty: bool, boot: Path | None, air: str | None) -> EmulatedBoard:
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
    return EmulatedBoard.start(board, firmware, nvm, device_id=identity, pty=pty, air=air)


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


def _print_addresses(board: str, emulated: EmulatedBoard, air: str | None, as_json: bool) -> None:
    ble = f"ble://{name_of(emulated.device_id)}?air={air}" if air is not None else None
    nvm = str(emulated.nvm.absolute())
    if as_json:
        # One line, flushed: a program reads it and goes on.
        facts = {
            "board": board,
            "smp": emulated.url,
            "pty": emulated.pty,
            "ble": ble,
            "nvm": nvm,
            "device_id": emulated.device_id.hex(),
            "pid": emulated.pid,
        }
        sys.stdout.write(json.dumps(facts) + "\n")
    else:
        ways = [("smp", emulated.url), *([("ble", ble)] if ble is not None else [])]
        print_facts([("board", board), *ways, ("nvm", nvm), ("device id", emulated.device_id.hex()), ("stop", "Ctrl-C")])
    sys.stdout.flush()
