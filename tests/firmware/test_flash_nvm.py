"""Non-volatile memory in pages of flash: no power cut loses the identity or repeats a boot_id."""

from __future__ import annotations

import ctypes
import json
from pathlib import Path

import pytest

from tests.support.flash_library import AFTER, BEFORE, TORN, FlashLibrary, build_flash_library
from tinyfleet_codegen.firmware_tree import firmware_dir
from tinyfleet_codegen.target import board_names, manifest_path
from tinyfleet_codegen.wire.ids import Status
from tinyfleet_codegen.wire.nvm import BOOT_BYTES, BOOT_SLOT_OFFSETS, DEVICE_ID_BYTES, ENTROPY_BYTES, IDENTITY_BYTES, Identity

DEVICE_ID = bytes(range(16))


def nvm_facts(board: str) -> dict[str, int]:
    nvm = json.loads(manifest_path(board).read_text(encoding="utf-8"))["tinyfleet"]["memory"]["nvm"]
    return {key: int(str(value), 0) for key, value in nvm.items()}


class IdentityStruct(ctypes.Structure):
    """``tyf_identity``."""

    _fields_ = (
        ("device_id", ctypes.c_uint8 * DEVICE_ID_BYTES),
        ("boot_id", ctypes.c_uint32),
        ("entropy", ctypes.c_uint8 * ENTROPY_BYTES),
    )


class FlashBoard(FlashLibrary):
    """The firmware's NVM and identity over the host's flash with one board's pages and units."""

    def __init__(self, library: Path, page_bytes: int) -> None:
        super().__init__(library)
        self.page_bytes = page_bytes

    def new(self) -> None:
        """A board that was provisioned and never booted."""
        identity = Identity(DEVICE_ID, bytes(32)).encode()
        self.open(identity.ljust(3 * self.page_bytes, b"\xff"))

    def boot(self, cut_at: int = 0, how: int = BEFORE) -> tuple[int, int, bytes, bytes]:
        """Power on and start: status, boot_id, entropy, device_id."""
        identity = IdentityStruct()
        self.c.tyf_host_flash_power_on()
        self.cut(cut_at, how)
        status = self.c.tyf_identity_start(ctypes.byref(identity))
        assert self.c.tyf_host_flash_violations() == 0
        return status, identity.boot_id, bytes(identity.entropy), bytes(identity.device_id)

    def nvm_read(self, offset: int, count: int) -> tuple[int, bytes]:
        data = ctypes.create_string_buffer(count)
        return self.c.tyf_port_nvm_read(offset, data, count), data.raw

    def write(self, offset: int, data: bytes) -> int:
        return int(self.c.tyf_port_nvm_write(offset, data, len(data)))


GEOMETRIES = sorted({(nvm["page_bytes"], nvm["unit_bytes"]) for nvm in map(nvm_facts, board_names()) if "page_bytes" in nvm})
"""Of all boards whose NVM is flash, once each."""


@pytest.fixture(scope="module", params=GEOMETRIES, ids=[f"{page}-{unit}" for page, unit in GEOMETRIES])
def board(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> FlashBoard:
    sources = [firmware_dir() / "boards/flash_nvm/nvm.c"]
    folder = tmp_path_factory.mktemp("flash")
    return FlashBoard(build_flash_library(folder, libraries=("identity",), geometry=request.param, sources=sources), request.param[0])


def test_starts_are_counted_and_entropy_never_repeats(board: FlashBoard) -> None:
    board.new()
    seen = set()
    for expected in range(1, 8):
        status, boot_id, entropy, device_id = board.boot()
        assert (status, boot_id, device_id) == (Status.OK, expected, DEVICE_ID)
        seen.add(entropy)
    assert len(seen) == 7


def test_no_power_cut_loses_the_identity_or_repeats_a_start(board: FlashBoard) -> None:
    """Every operation of a start is cut before, in its middle and after it, and so is the start that follows."""
    board.new()
    board.boot()
    operations = board.operations()
    assert operations >= 2
    cuts = 0
    for first in range(1, operations + 1):
        for how in (BEFORE, TORN, AFTER):
            for second in (0, 1, 2, operations):
                board.new()
                promised = [board.boot() for _ in range(3)]
                for cut, manner in ((first, how), (second, TORN)):
                    status, boot_id, entropy, _ = board.boot(cut, manner)
                    if status == Status.OK:
                        promised.append((status, boot_id, entropy, DEVICE_ID))
                    else:
                        assert boot_id == 0 and not board.is_on()
                    cuts += cut != 0
                status, boot_id, entropy, device_id = board.boot()
                assert (status, device_id) == (Status.OK, DEVICE_ID)
                assert all(boot_id > before for _, before, _, _ in promised)
                assert entropy not in {before for _, _, before, _ in promised}
    assert cuts >= 21 * operations


def test_what_is_outside_an_area_is_refused_and_an_area_is_written_from_its_begin(board: FlashBoard) -> None:
    board.new()
    first, second = BOOT_SLOT_OFFSETS
    assert board.write(first, b"x" * BOOT_BYTES) == Status.OK
    assert board.nvm_read(first, BOOT_BYTES + 1) == (Status.OK, b"x" * BOOT_BYTES + b"\xff")
    assert board.nvm_read(0, IDENTITY_BYTES) == (Status.OK, Identity(DEVICE_ID, bytes(32)).encode())
    areas_end = second + (second - first)
    for offset, count in ((first + 4, 4), (areas_end, 1), (first, second - first + 1), (0xFFFFFFFC, 8)):
        assert board.write(offset, bytes(count)) == Status.ERR_ARG
    for offset, count in ((areas_end, 1), (areas_end - 1, 2), (first, second - first + 1), (0xFFFFFFFC, 8)):
        assert board.nvm_read(offset, count)[0] == Status.ERR_ARG
    assert board.write(second, bytes(second - first)) == Status.OK
    assert board.c.tyf_host_flash_violations() == 0
