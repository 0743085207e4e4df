"""Who the board is after each start, whatever a power cut or decay left in its NVM."""

from __future__ import annotations

import hashlib
import random
import struct
import zlib

import pytest

from tests.firmware.program_process import DEVICE_ID, GROUP_TINYFLEET, NVM_BYTES, READ, WRITE, FirmwareProgram, nvm_image
from tinyfleet_codegen.wire.ids import Status
from tinyfleet_codegen.wire.nvm import BOOT_BYTES, BOOT_MAGIC, BOOT_SLOT_OFFSETS, IDENTITY_BYTES, Identity, read_boot_id

ENTROPY_AT = 8
"""Within a boot slot."""


def boot(program: FirmwareProgram, nvm: bytes) -> tuple[bytes, int]:
    """Start on this NVM; what the board says it is: device_id and boot_id."""
    program.power_on(nvm)
    hello = program.command(READ, GROUP_TINYFLEET, 0, {})
    return hello["device_id"], hello["boot_id"]


def refusal(program: FirmwareProgram) -> object:
    """The answer to samples."""
    return program.command(WRITE, GROUP_TINYFLEET, 5, {"stream": 1, "off": 0, "data": bytes(6)})


def test_each_start_counts_and_writes_the_other_slot(program: FirmwareProgram) -> None:
    nvm = nvm_image()
    for expected in range(1, 6):
        assert boot(program, nvm) == (DEVICE_ID, expected)
        new = program.nvm()
        assert read_boot_id(new) == expected
        changed = [offset for offset in BOOT_SLOT_OFFSETS if new[offset : offset + BOOT_BYTES] != nvm[offset : offset + BOOT_BYTES]]
        assert changed == [BOOT_SLOT_OFFSETS[(expected - 1) % 2]]
        nvm = new


def test_reset_counts_as_a_start(board: FirmwareProgram) -> None:
    assert board.command(WRITE, 0, 5, {}) == {}
    assert board.command(READ, GROUP_TINYFLEET, 0, {})["boot_id"] == 2
    assert read_boot_id(board.nvm()) == 2
    assert board.command(READ, GROUP_TINYFLEET, 6, {})["resets"] == 1


def test_entropy_is_ratcheted_with_the_boot_id(program: FirmwareProgram) -> None:
    entropy = bytes(range(32))
    nvm = Identity(DEVICE_ID, entropy).encode().ljust(NVM_BYTES, b"\0")
    for boot_id in range(1, 4):
        boot(program, nvm)
        nvm = program.nvm()
        entropy = hashlib.sha256(entropy + boot_id.to_bytes(4, "little")).digest()
        at = BOOT_SLOT_OFFSETS[(boot_id - 1) % 2] + ENTROPY_AT
        assert nvm[at : at + 32] == entropy


@pytest.mark.parametrize("starts", [0, 1, 2, 3])
def test_power_cut_at_every_byte_of_the_slot_never_repeats_a_durable_boot_id(program: FirmwareProgram, starts: int) -> None:
    before = nvm_image()
    for _ in range(starts):
        boot(program, before)
        before = program.nvm()
    boot(program, before)
    after = program.nvm()
    offset = BOOT_SLOT_OFFSETS[starts % 2]
    for written in range(BOOT_BYTES + 1):
        for decay in (None, 0x00, 0xFF):
            torn = bytearray(before)
            torn[offset : offset + written] = after[offset : offset + written]
            if decay is not None and written < BOOT_BYTES:
                torn[offset + written] = decay
            was_durable = read_boot_id(bytes(torn)) == starts + 1
            assert boot(program, bytes(torn)) == (DEVICE_ID, starts + 1 + was_durable)


def test_one_damaged_slot_is_replaced_and_the_other_counts_on(program: FirmwareProgram) -> None:
    nvm = nvm_image()
    for _ in range(4):
        boot(program, nvm)
        nvm = program.nvm()
    source = random.Random(6)
    for slot, expected in ((0, 5), (1, 4)):  # slot 1 holds boot 4, slot 0 boot 3
        for _ in range(40):
            damaged = bytearray(nvm)
            damaged[BOOT_SLOT_OFFSETS[slot] + source.randrange(BOOT_BYTES)] ^= 1 << source.randrange(8)
            assert boot(program, bytes(damaged)) == (DEVICE_ID, expected)
            assert read_boot_id(program.nvm()) == expected


def test_identity_with_any_bit_flipped_is_no_identity(program: FirmwareProgram) -> None:
    for position in range(IDENTITY_BYTES * 8):
        damaged = bytearray(nvm_image())
        damaged[position // 8] ^= 1 << position % 8
        assert boot(program, bytes(damaged)) == (bytes(16), 0)
        assert program.nvm() == damaged, "a board without identity must not write"


@pytest.mark.parametrize("nvm", [b"", bytes(10), bytes(NVM_BYTES), b"\xff" * NVM_BYTES])
def test_board_without_identity_answers_management_and_makes_no_records(program: FirmwareProgram, nvm: bytes) -> None:
    assert boot(program, nvm) == (bytes(16), 0)
    assert program.command(WRITE, 0, 0, {"d": "x"}) == {"r": "x"}
    assert refusal(program) == {"err": {"group": GROUP_TINYFLEET, "rc": -Status.ERR_NO_IDENTITY}}
    assert program.command(READ, GROUP_TINYFLEET, 6, {})["records"] == 0


def test_identity_of_a_newer_version_is_left_alone(program: FirmwareProgram) -> None:
    body = bytearray(nvm_image()[: IDENTITY_BYTES - 4])
    struct.pack_into("<H", body, 4, 2)
    nvm = (bytes(body) + struct.pack("<I", zlib.crc32(body))).ljust(NVM_BYTES, b"\0")
    assert boot(program, nvm) == (bytes(16), 0)
    assert program.nvm() == nvm


def test_nvm_that_ends_before_the_slots_makes_no_records(program: FirmwareProgram) -> None:
    _, boot_id = boot(program, nvm_image()[:8192])
    assert boot_id == 1
    _, boot_id = boot(program, nvm_image()[:8191])
    assert boot_id == 0


def test_boot_ids_that_are_used_up_are_not_started_again(program: FirmwareProgram) -> None:
    body = struct.pack("<II32s", BOOT_MAGIC, 0xFFFFFFFF, bytes(32))
    nvm = bytearray(nvm_image())
    nvm[BOOT_SLOT_OFFSETS[0] : BOOT_SLOT_OFFSETS[0] + BOOT_BYTES] = body + struct.pack("<I", zlib.crc32(body))
    assert boot(program, bytes(nvm))[1] == 0
    assert program.nvm() == nvm
