"""``tinyfleet device {counters,setting,file}``: what a device counts, keeps and offers to read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tinyfleet.cli.output import JsonFlag, print_facts, print_json
from tinyfleet_codegen.errors import UsageError

Url = Annotated[str, typer.Argument(metavar="URL", help="serial:///dev/ttyACM0, serial://usb:SERIAL or tcp://HOST:PORT.")]
Timeout = Annotated[float, typer.Option("--timeout", metavar="SECONDS", help="Longest wait for one answer.", min=0.1)]


def add_commands(group: typer.Typer) -> None:
    """Add the commands to their group."""
    group.command("counters", epilog="Example: tinyfleet device counters tcp://127.0.0.1:5555")(counters_command)
    group.command("setting", epilog="Example: tinyfleet device setting tcp://127.0.0.1:5555 place 'hall 3'")(setting_command)
    group.command("file", epilog="Example: tinyfleet device file tcp://127.0.0.1:5555 crash -o crash.bin")(file_command)


def counters_command(url: Url, timeout: Timeout = 5.0, as_json: JsonFlag = False) -> None:
    """Every group of counters that it offers, as any SMP client sees them."""
    from tinyfleet.device import connect  # noqa: PLC0415 - keeps --help fast

    with connect(url, timeout_s=timeout) as device:
        groups = device.statistics()
    if as_json:
        print_json({"url": url, "groups": groups})
        return
    for name, counters in groups.items():
        print_facts((f"{name}.{key}", str(value)) for key, value in counters.items())


def setting_command(
    url: Url,
    name: Annotated[str, typer.Argument(metavar="NAME", help="At most 32 bytes.")],
    value: Annotated[str | None, typer.Argument(metavar="[VALUE]", help="Set it to this; without: show it.")] = None,
    is_hex: Annotated[bool, typer.Option("--hex", help="VALUE is bytes in hexadecimal.")] = False,
    delete: Annotated[bool, typer.Option("--delete", help="Remove it.")] = False,
    timeout: Timeout = 5.0,
    as_json: JsonFlag = False,
) -> None:
    """Show, set or remove a setting; it outlives a restart."""
    from tinyfleet.device import connect  # noqa: PLC0415

    if delete and value is not None:
        raise UsageError("a setting is either set or removed", hint="leave out VALUE or --delete")
    data = None if value is None else _parse_value(value, is_hex)
    with connect(url, timeout_s=timeout) as device:
        if delete:
            device.delete_setting(name)
        elif data is not None:
            device.write_setting(name, data)
        else:
            data = device.read_setting(name)
    if as_json:
        print_json({"url": url, "name": name, "value": data})
    else:
        print_facts([(name, "removed" if data is None else _shown(data))])


def file_command(
    url: Url,
    name: Annotated[str, typer.Argument(metavar="NAME", help="For example crash.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write its bytes there.")] = None,
    timeout: Timeout = 5.0,
    as_json: JsonFlag = False,
) -> None:
    """Read a file of it."""
    from tinyfleet.device import connect  # noqa: PLC0415

    with connect(url, timeout_s=timeout) as device:
        data = device.read_file(name)
    if output is not None:
        output.write_bytes(data)
    if as_json:
        print_json({"url": url, "name": name, "bytes": len(data), "path": output, "data": data})
    else:
        print_facts([(name, f"{len(data)} bytes" + (f" to {output}" if output is not None else f": {_shown(data[:32])}"))])


def _parse_value(value: str, is_hex: bool) -> bytes:
    try:
        return bytes.fromhex(value) if is_hex else value.encode()
    except ValueError as error:
        raise UsageError(f"{value!r} is not hexadecimal") from error


def _shown(data: bytes) -> str:
    text = data.decode("ascii", errors="replace")
    return text if text.isprintable() and "\ufffd" not in text else data.hex()
