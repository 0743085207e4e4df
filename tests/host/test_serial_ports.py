"""A port on USB is known by its serial number, under whatever name it is today."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.gateway.fake_board import FakeBoard
from tests.gateway.processes import running_cloud, wait_until, write_config
from tests.gateway.test_no_loss import audit_of
from tests.host.peer import pty_peer
from tests.support.mutate import mutate_text
from tests.support.patience import HANG_S
from tests.support.usb import UsbPorts
from tinyfleet.cli.device_scan import scan_command
from tinyfleet.device import open_device
from tinyfleet.gateway import Gateway, load_config
from tinyfleet.gateway.proxy import open_port, shared
from tinyfleet.link import open_link
from tinyfleet.link.serial_ports import path_of, serial_ports, usb_url
from tinyfleet.link.shared import ENVIRONMENT, SharedLink, socket_path
from tinyfleet_codegen.errors import LinkClosed

SERIAL = "0669FF37/35 35"
URL = "serial://usb:0669FF37%2F35%2035"


@pytest.fixture(autouse=True)
def ports_folder(short_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sockets of this test alone."""
    monkeypatch.setenv(ENVIRONMENT, str(short_folder / "ports"))


@pytest.fixture
def usb(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> UsbPorts:
    """No port at first."""
    return UsbPorts(monkeypatch, tmp_path)


@asynccontextmanager
async def plugged(board: FakeBoard, usb: UsbPorts, serial_number: str = SERIAL) -> AsyncIterator[str]:
    """The board on a port whose name is another one each time; yields its path."""
    async with pty_peer(board) as (url, _):
        with usb.plugged(url.removeprefix("serial://").partition("?")[0], serial_number) as path:
            yield path


async def test_a_port_is_opened_by_its_serial_number_wherever_it_is(usb: UsbPorts) -> None:
    board = FakeBoard()
    usb.plug("/dev/ttyACM7", "another")
    paths = set()
    for _ in range(2):
        async with plugged(board, usb) as path:
            async with open_device(URL + "?baud=115200") as device:
                assert (await device.hello()).device_id == board.device_id
            assert path not in paths
            paths.add(path)
            async with plugged(board, usb, "elsewhere"):
                assert path_of(f"usb:{SERIAL}") == path


async def test_no_such_port_is_one_line_that_says_what_is_there(usb: UsbPorts) -> None:
    with pytest.raises(LinkClosed, match=r"^no serial port has USB serial number 0669FF37/35 35; there is: no serial port at all$"):
        async with open_link(URL):
            pass
    usb.plug("/dev/ttyACM0", "4711")
    usb.plug("/dev/ttyUSB0", vid=0x1A86, pid=0x7523)
    usb.plug("/dev/ttyAMA0", vid=None)
    with pytest.raises(LinkClosed) as refused:
        async with open_link(URL):
            pass
    assert "\n" not in str(refused.value.args[0])
    assert refused.value.args[0].endswith(
        "/dev/ttyACM0 (usb 0483:374b, serial number 4711); /dev/ttyAMA0 (not usb); /dev/ttyUSB0 (usb 1a86:7523, no serial number)"
    )


def test_two_ports_with_one_serial_number_are_named_and_told_apart(usb: UsbPorts) -> None:
    usb.plug("/dev/ttyACM0", "A1")
    usb.plug("/dev/ttyACM1", "A1")
    with pytest.raises(LinkClosed, match=r"2 serial ports have USB serial number A1: /dev/ttyACM0 .* and /dev/ttyACM1 ") as refused:
        path_of("usb:A1")
    assert refused.value.hint == "name one by its path: serial:///dev/ttyACM0"
    assert [usb_url(port, serial_ports()) for port in serial_ports()] == [None, None]
    # One device with two ports: a debugger with two serial lines, for one.
    usb.plug("/dev/ttyACM0", "A1", location="1-4:1.0")
    usb.plug("/dev/ttyACM1", "A1", location="1-4:1.2")
    with pytest.raises(LinkClosed) as refused:
        path_of("usb:A1")
    assert refused.value.hint == "say which: serial://usb:A1?interface=0"
    assert [usb_url(port, serial_ports()) for port in serial_ports()] == ["serial://usb:A1?interface=0", "serial://usb:A1?interface=2"]
    assert path_of("usb:A1", 2) == "/dev/ttyACM1"
    with pytest.raises(LinkClosed, match="no serial port has USB serial number A1, interface 1; there is: /dev/ttyACM0"):
        path_of("usb:A1", 1)


def test_scan_shows_the_url_that_stays(usb: UsbPorts, capsys: pytest.CaptureFixture[str]) -> None:
    usb.plug("/dev/ttyACM0", SERIAL)
    usb.plug("/dev/ttyUSB0", vid=0x1A86, pid=0x7523)
    usb.plug("/dev/ttyAMA0", vid=None)
    scan_command(timeout=0.1)
    assert capsys.readouterr().out.splitlines()[:3] == [
        f"serial:///dev/ttyACM0  Board, usb 0483:374b, always {URL}",
        "serial:///dev/ttyAMA0  Board, no serial number",
        "serial:///dev/ttyUSB0  Board, usb 1a86:7523, no serial number",
    ]
    scan_command(timeout=0.1, as_json=True)
    assert json.loads(capsys.readouterr().out)[0] == {
        "url": "serial:///dev/ttyACM0",
        "usb_url": URL,
        "description": "Board",
        "serial_number": SERIAL,
        "vendor_product": "0483:374b",
        "interface": None,
    }


async def test_port_that_a_gateway_holds_is_shared_under_all_its_names(usb: UsbPorts, tmp_path: Path) -> None:
    board = FakeBoard()
    async with plugged(board, usb) as path:
        (tmp_path / "by-id").symlink_to(path)
        names = [URL, URL + "?baud=115200", f"serial://{path}", f"serial://{path}?baud=9600", f"serial://{tmp_path / 'by-id'}"]
        for held in (URL, f"serial://{path}"):
            async with open_port(held) as device, shared(device):
                for name in names:
                    async with open_link(name) as link:
                        assert isinstance(link, SharedLink), (held, name)
        assert len({socket_path(name) for name in names}) == 1


async def arrives_once_over_replugs(usb: UsbPorts, folder: Path, deadline_s: float = HANG_S) -> bool:
    """Whether all records of a board are in the cloud, each once, whose port is another one each time, while it makes them."""
    board = FakeBoard()
    paths: list[str] = []
    async with running_cloud(folder / "cloud") as cloud:

        async def arrived(count: int) -> None:
            async with asyncio.timeout(deadline_s):
                await wait_until(lambda: cloud.has(stored=count), f"{count} records in the cloud")

        gateway = Gateway(load_config(write_config(folder, [URL], cloud.url)), open_port)
        running = asyncio.create_task(gateway.run())
        try:
            for plug in range(3):
                async with plugged(board, usb) as path:
                    paths.append(path)
                    board.produce(40)
                    await arrived(100 * plug + 40)
                    board.produce(30)  # it is pulled out among these
                board.produce(30)
            async with plugged(board, usb) as path:
                paths.append(path)
                await arrived(300)
        except TimeoutError:
            return False
        finally:
            gateway.stop()
            await asyncio.wait_for(running, 20)
        verdict = await audit_of(cloud, [board])
    print(paths, verdict)
    return verdict.is_exact and verdict.produced == 300 and len(set(paths)) == 4


async def test_board_that_comes_back_under_another_name_loses_and_doubles_nothing(usb: UsbPorts, tmp_path: Path) -> None:
    assert await arrives_once_over_replugs(usb, tmp_path)


async def test_a_port_that_is_looked_up_once_is_seen(usb: UsbPorts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert mutate_text(monkeypatch, path_of, "return found[0].path", "return path_of.__dict__.setdefault(name, found[0].path)")
    assert not await arrives_once_over_replugs(usb, tmp_path, deadline_s=3.0)


def usb_tty(sysfs: Path, name: str, serial_number: str | None, *, interfaces: int = 1, interface: int = 0) -> None:
    """A port as Linux shows it below /sys/class/tty; ports of one device have one serial number."""
    device = sysfs / "usb" / (serial_number or name)
    port = device / f"{device.name}:1.{interface}"
    port.mkdir(parents=True)
    facts = {"idVendor": "0483", "idProduct": "374b", "product": "Board", "bNumInterfaces": f" {interfaces}", "serial": serial_number}
    for file, text in facts.items():
        if text is not None:
            (device / file).write_text(f"{text}\n", encoding="ascii")
    (sysfs / "bus" / "usb").mkdir(parents=True, exist_ok=True)
    (port / "subsystem").symlink_to(sysfs / "bus" / "usb")
    (sysfs / "tty" / name).mkdir(parents=True)
    (sysfs / "tty" / name / "device").symlink_to(port)


@pytest.mark.full
def test_ports_of_a_sysfs_tree_are_found_by_their_serial_numbers(tmp_path: Path) -> None:
    """pyserial's own lister, in a place where /sys/class/tty and /dev are a tree of this test."""
    assert os.getuid() == 0, "this test needs root: it mounts a tree of its own over /sys/class/tty, for its processes alone"
    usb_tty(tmp_path, "ttyACM0", "066A")
    usb_tty(tmp_path, "ttyACM1", "066B", interfaces=4, interface=0)
    usb_tty(tmp_path, "ttyACM2", "066B", interfaces=4, interface=2)
    usb_tty(tmp_path, "ttyUSB0", None)
    enter = """
        mount --make-rprivate /
        mount --bind "$1/tty" /sys/class/tty
        mount -t tmpfs -o mode=755 tmpfs /dev
        mknod -m 666 /dev/null c 1 3
        mknod -m 666 /dev/urandom c 1 9
        for port in "$1"/tty/*; do : >"/dev/${port##*/}"; done
        exec "$2" -P -m tinyfleet device scan --timeout 0.1 --json
    """
    words = ["unshare", "--mount", "sh", "-euc", enter, "enter", str(tmp_path), sys.executable]
    done = subprocess.run(words, capture_output=True, text=True, timeout=HANG_S, check=True)
    found = {port["url"]: (port["usb_url"], port["vendor_product"], port["interface"]) for port in json.loads(done.stdout)}
    assert found == {
        "serial:///dev/ttyACM0": ("serial://usb:066A", "0483:374b", None),
        "serial:///dev/ttyACM1": ("serial://usb:066B?interface=0", "0483:374b", 0),
        "serial:///dev/ttyACM2": ("serial://usb:066B?interface=2", "0483:374b", 2),
        "serial:///dev/ttyUSB0": (None, "0483:374b", None),
    }
