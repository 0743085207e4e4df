"""Device URLs that cannot be opened say why, and what would work."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tinyfleet.link import open_link
from tinyfleet_codegen.errors import LinkClosed, LinkTimeout, TinyfleetError, UsageError


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "not a device URL"),
        ("mps2_an386", "not a device URL"),
        ("ftp://host:1", "not a device URL"),
        ("tcp://host:notaport", "not a device URL"),
        ("tcp://127.0.0.1", "names no port"),
        ("tcp://127.0.0.1:1?baud=1", "unknown option 'baud'"),
        ("serial:///dev/null?speed=1", "unknown option 'speed'"),
        ("serial:///dev/null?baud=fast", "baud must be a number"),
        ("emu://mps2_an386", "names no firmware"),
        ("emu://mps2_an386?elf=/nonexistent.elf", "no firmware"),
        ("emu://no_such_board?elf=/nonexistent.elf", "no board"),
        ("memory://", "names no model"),
        ("memory://?model=/nonexistent", "no generated model"),
    ],
)
async def test_url_that_makes_no_sense_is_a_usage_error_with_a_hint(url: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as refused:
        async with open_link(url):
            pass
    assert refused.value.hint or "baud must" in message


@pytest.mark.parametrize("url", ["serial:///dev/no-such-port", "serial:///etc/hostname", "serial://COM99"])
async def test_port_that_is_none_closes_at_once(url: str) -> None:
    with pytest.raises(LinkClosed, match="cannot open serial port"):
        async with open_link(url):
            pass


async def test_nobody_listening_is_link_closed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(LinkClosed, match="cannot connect"):
        async with open_link(f"tcp://127.0.0.1:{port}"):
            pass


async def test_full_backlog_is_a_timeout() -> None:
    with (
        socket.create_server(("127.0.0.1", 0), backlog=0) as server,
        socket.create_connection(server.getsockname()),
        pytest.raises(LinkTimeout, match="no connection"),
    ):
        async with open_link(f"tcp://127.0.0.1:{server.getsockname()[1]}", timeout_s=0.3):
            pass


async def test_emulator_that_runs_no_firmware_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "text.elf").write_text("not an ELF")
    with pytest.raises(TinyfleetError, match="is not a 32-bit little-endian ELF"):
        async with open_link(f"emu://mps2_an386?elf={tmp_path / 'text.elf'}"):
            pass
