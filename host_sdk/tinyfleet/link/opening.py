"""From a device URL to an open link."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import urllib.parse
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tinyfleet.link.link import ConsoleLink, Link
from tinyfleet.link.pipe import BytePipe
from tinyfleet.link.serial import DEFAULT_BAUD, SerialPipe
from tinyfleet.link.serial_ports import USB, path_of
from tinyfleet.link.shared import open_shared
from tinyfleet.link.tcp import TcpPipe
from tinyfleet_codegen.errors import UsageError


@dataclass(frozen=True, slots=True)
class _DeviceUrl:
    text: str
    host: str
    port: int | None
    path: str
    options: dict[str, str]

    def option_path(self, name: str) -> Path | None:
        return Path(self.options[name]) if name in self.options else None

    def number(self, name: str) -> int | None:
        text = self.options.get(name)
        if text is None:
            return None
        if not (text.isascii() and text.isdecimal()):
            raise UsageError(f"{self.text}: {name} must be a number, got {text!r}")
        return int(text)


@asynccontextmanager
async def open_link(url: str, *, timeout_s: float = 5.0, own_port: bool = False) -> AsyncIterator[Link]:
    """Open the link that a device URL names, and close it at the end; through the gateway, where one of this user holds the port.

    Args:
        url: See the table in :mod:`tinyfleet.link`.
        timeout_s: Deadline for opening it.
        own_port: The port itself, or the device in the air itself, or nothing: not through a gateway that holds it.

    Raises:
        UsageError: the URL makes no sense.
        LinkClosed: nobody is there.
        LinkTimeout: it could not be opened in time.
    """
    scheme, parsed = _parse(url)
    async with AsyncExitStack() as stack:
        link: Link | None = None if own_port else await open_shared(url, timeout_s)
        if link is None:
            link = await OPENERS[scheme](parsed, timeout_s, stack)
        stack.push_async_callback(link.disconnect)
        yield link


def check_url(url: str) -> None:
    """Whether a device URL makes sense, without opening it.

    Raises:
        UsageError: it does not.
    """
    _parse(url)


@asynccontextmanager
async def open_pipe(url: str, *, timeout_s: float = 5.0) -> AsyncIterator[BytePipe]:
    """The bytes below a link, for who wants to see them all; otherwise as :func:`open_link`."""
    scheme, parsed = _parse(url)
    if scheme not in PIPES:
        raise UsageError(f"{url} carries messages and no text", hint=f"a console has {', '.join(f'{name}://' for name in sorted(PIPES))}")
    async with AsyncExitStack() as stack:
        pipe = await PIPES[scheme](parsed, timeout_s, stack)
        stack.push_async_callback(pipe.close)
        yield pipe


async def _open_serial(url: _DeviceUrl, timeout_s: float, _stack: AsyncExitStack) -> BytePipe:
    # serial://COM3 has the port's name where others have a host.
    path = await asyncio.to_thread(path_of, url.host + url.path, url.number("interface"))
    return await SerialPipe.open(path, url.number("baud") or DEFAULT_BAUD, timeout_s)


async def _open_tcp(url: _DeviceUrl, timeout_s: float, _stack: AsyncExitStack) -> BytePipe:
    if url.port is None:
        raise UsageError(f"{url.text} names no port", hint="tcp://127.0.0.1:5555")
    return await TcpPipe.open(url.host, url.port, timeout_s)


async def _open_emulated(url: _DeviceUrl, timeout_s: float, stack: AsyncExitStack) -> BytePipe:
    from tinyfleet.emulator import EmulatedBoard  # noqa: PLC0415 - other links work where emulated boards do not (Windows)

    elf = url.option_path("elf")
    if elf is None:
        raise UsageError(f"{url.text} names no firmware", hint=f"emu://{url.host}?elf=build/firmware.elf")
    nvm = url.option_path("nvm") or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tinyfleet-"))) / "board.nvm"
    board = await asyncio.to_thread(EmulatedBoard.start, url.host, elf, nvm)
    stack.push_async_callback(asyncio.to_thread, board.stop)
    host, _, port = board.url.removeprefix("tcp://").partition(":")
    return await TcpPipe.open(host, int(port), timeout_s)


async def _open_memory(url: _DeviceUrl, _timeout_s: float, stack: AsyncExitStack) -> BytePipe:
    model_dir = url.option_path("model")
    if model_dir is None:
        raise UsageError(f"{url.text} names no model", hint="memory://?model=DIR with the DIR that tinyfleet compile wrote")
    from tinyfleet.link.memory import MemoryPipe  # noqa: PLC0415 - other links need no compiler

    return await asyncio.to_thread(MemoryPipe.open, model_dir, url.option_path("nvm"), stack)


async def _open_ble(url: _DeviceUrl, timeout_s: float, _stack: AsyncExitStack) -> Link:
    from tinyfleet.link.ble import named_air, open_ble  # noqa: PLC0415 - other links need no bleak

    return await open_ble(url.text, url.host, named_air(url.options.get("air")), timeout_s)


_PipeOpener = Callable[[_DeviceUrl, float, AsyncExitStack], Awaitable[BytePipe]]
_LinkOpener = Callable[[_DeviceUrl, float, AsyncExitStack], Awaitable[Link]]


def _on_a_console(open_bytes: _PipeOpener) -> _LinkOpener:
    async def opener(url: _DeviceUrl, timeout_s: float, stack: AsyncExitStack) -> Link:
        return ConsoleLink(url.text, await open_bytes(url, timeout_s, stack))

    return opener


PIPES: dict[str, _PipeOpener] = {"serial": _open_serial, "tcp": _open_tcp, "emu": _open_emulated, "memory": _open_memory}
"""How each scheme with a byte stream is opened: the parsed URL, the deadline, and a stack that undoes what opening did."""

OPENERS: dict[str, _LinkOpener] = {**{scheme: _on_a_console(open_bytes) for scheme, open_bytes in PIPES.items()}, "ble": _open_ble}
"""How a link of each scheme is opened."""

_OPTIONS: dict[str, frozenset[str]] = {
    "serial": frozenset({"baud", "interface"}),
    "tcp": frozenset(),
    "emu": frozenset({"elf", "nvm"}),
    "memory": frozenset({"model", "nvm"}),
    "ble": frozenset({"air"}),
}


def _parse(url: str) -> tuple[str, _DeviceUrl]:
    with contextlib.suppress(ValueError):
        parts = urllib.parse.urlsplit(url)
        options = dict(urllib.parse.parse_qsl(parts.query, keep_blank_values=True))
        unknown = sorted(set(options) - _OPTIONS.get(parts.scheme, frozenset(options)))
        if unknown:
            raise UsageError(
                f"{url} has an unknown option {unknown[0]!r}", hint=f"known: {', '.join(sorted(_OPTIONS[parts.scheme])) or 'none'}"
            )
        if parts.scheme in OPENERS:
            # Others have a name there, in which capitals count: a port's, a device's.
            is_host = parts.scheme in ("tcp", "emu", "memory")
            host, port = (parts.hostname or "", parts.port) if is_host else (urllib.parse.unquote(parts.netloc), None)
            found = _DeviceUrl(url, host, port, urllib.parse.unquote(parts.path), options)
            if parts.scheme == "serial" and not (host + found.path).removeprefix(USB):
                raise UsageError(
                    f"{url} names no port", hint="serial:///dev/ttyACM0, or serial://usb:SERIAL; tinyfleet device scan lists them"
                )
            return parts.scheme, found
    raise UsageError(f"not a device URL: {url!r}", hint=f"it begins with {', '.join(f'{scheme}://' for scheme in sorted(OPENERS))}")
