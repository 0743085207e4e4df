"""``tinyfleet firmware {push,test,confirm,revert,list}``: the firmware of a board that answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from tinyfleet.cli.device import TimeoutOption, UrlArgument
from tinyfleet.cli.output import JsonFlag, print_facts, print_json
from tinyfleet.cli.transfer import transfer_bar, transfer_facts

if TYPE_CHECKING:
    from tinyfleet.device import Device, SlotImage

T = TypeVar("T")


def add_commands(group: typer.Typer) -> None:
    """Add the commands to their group."""
    group.command("list", epilog="Example: tinyfleet firmware list tcp://127.0.0.1:5555")(list_command)
    group.command("push", epilog="Example: tinyfleet firmware push tcp://127.0.0.1:5555 build/sensor")(push_command)
    group.command("test", epilog="Example: tinyfleet firmware test tcp://127.0.0.1:5555")(test_command)
    group.command("confirm", epilog="Example: tinyfleet firmware confirm tcp://127.0.0.1:5555")(confirm_command)
    group.command("revert", epilog="Example: tinyfleet firmware revert tcp://127.0.0.1:5555")(revert_command)


def list_command(url: UrlArgument, timeout: TimeoutOption = 5.0, as_json: JsonFlag = False) -> None:
    """Which images it holds, and which one runs."""
    images = _with_device(url, timeout, lambda device: device.images())
    if as_json:
        print_json({"url": url, "images": [asdict(image) for image in images]})
    elif images:
        print_facts((f"slot {image.slot}", _state(image)) for image in images)
    else:
        print_facts([("images", "none")])


def push_command(
    url: UrlArgument,
    source: Annotated[Path, typer.Argument(metavar="DIR|IMAGE", help="Folder of tinyfleet build --signed, or NAME.slotN.bin.")],
    upgrade: Annotated[bool, typer.Option("--upgrade", help="The board refuses what is not newer than what runs.")] = False,
    timeout: TimeoutOption = 5.0,
    as_json: JsonFlag = False,
) -> None:
    """Send an image into the slot that does not run; of a folder the right one."""
    from tinyfleet.ota import push_firmware  # noqa: PLC0415 - keeps --help fast

    with transfer_bar() as progress:
        pushed = _with_device(url, timeout, lambda device: push_firmware(device, source, is_upgrade=upgrade, progress=progress))
    if as_json:
        facts = {"url": url, "path": pushed.path, "slot": pushed.slot, "version": pushed.version, "hash": pushed.hash}
        print_json({**facts, **asdict(pushed.upload)})
        return
    print_facts(
        [
            ("pushed", f"{pushed.path} to slot {pushed.slot}, version {pushed.version}, {pushed.hash.hex()[:8]}"),
            *transfer_facts(pushed.upload),
            ("next", f"tinyfleet firmware test {url}"),
        ]
    )


def test_command(
    url: UrlArgument,
    digest: Annotated[str | None, typer.Option("--hash", metavar="HEX", help="Of the image; default: that in the other slot.")] = None,
    timeout: TimeoutOption = 5.0,
    as_json: JsonFlag = False,
) -> None:
    """Restart it into the other image, on trial until it is confirmed."""
    from tinyfleet.ota import try_firmware  # noqa: PLC0415

    wanted = _parse_hash(digest)
    _print_running(url, _with_device(url, timeout, lambda device: try_firmware(device, wanted)), as_json)


def confirm_command(url: UrlArgument, timeout: TimeoutOption = 5.0, as_json: JsonFlag = False) -> None:
    """Keep the image that runs."""
    from tinyfleet.ota import confirm_firmware  # noqa: PLC0415

    _print_running(url, _with_device(url, timeout, confirm_firmware), as_json)


def revert_command(url: UrlArgument, timeout: TimeoutOption = 5.0, as_json: JsonFlag = False) -> None:
    """End the trial of an image, or forget one that waits for its trial."""
    from tinyfleet.ota import revert_firmware  # noqa: PLC0415

    _print_running(url, _with_device(url, timeout, revert_firmware), as_json)


def _with_device(url: str, timeout_s: float, work: Callable[[Device], Awaitable[T]]) -> T:
    from tinyfleet.device import open_device  # noqa: PLC0415

    async def run() -> T:
        async with open_device(url, timeout_s=timeout_s) as device:
            return await work(device)

    return asyncio.run(run())


def _parse_hash(digest: str | None) -> bytes | None:
    from tinyfleet_codegen.errors import UsageError  # noqa: PLC0415

    try:
        return None if digest is None else bytes.fromhex(digest)
    except ValueError as error:
        raise UsageError(f"{digest!r} is no hash", hint="tinyfleet firmware list --json URL shows them") from error


def _state(image: SlotImage) -> str:
    words = [
        word
        for word, is_so in (("runs", image.is_active), ("confirmed", image.is_confirmed), ("waits for its test", image.is_pending))
        if is_so
    ]
    if image.is_active and not image.is_confirmed:
        words.append("on trial")
    return f"version {image.version}, {image.hash.hex()[:8]}" + "".join(f", {word}" for word in words)


def _print_running(url: str, image: SlotImage, as_json: bool) -> None:
    if as_json:
        print_json({"url": url, **asdict(image)})
        return
    rows = [(f"slot {image.slot}", _state(image))]
    if not image.is_confirmed:
        rows.append(("next", f"tinyfleet firmware confirm {url}, or revert"))
    print_facts(rows)
