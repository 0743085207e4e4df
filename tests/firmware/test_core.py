"""Checksums and hashes against Python's."""

from __future__ import annotations

import binascii
import hashlib
import random
import zlib

from tests.firmware.program_process import FirmwareProgram


def test_sha256_equals_hashlib_for_every_length_and_split(program: FirmwareProgram) -> None:
    data = random.Random(1).randbytes(300)
    for length in [*range(140), 191, 192, 193, 300]:
        for piece in (1, 7, 63, 64, 65, 300):
            digest = program.ask("S", piece.to_bytes(4, "little") + data[:length])
            assert digest == hashlib.sha256(data[:length]).digest(), (length, piece)


def test_crc32_equals_zlib_and_continues(program: FirmwareProgram) -> None:
    for data in (b"", b"a", b"123456789", bytes(1000), random.Random(2).randbytes(257)):
        assert int.from_bytes(program.ask("3", data), "little") == zlib.crc32(data)


def test_crc16_equals_xmodem(program: FirmwareProgram) -> None:
    assert int.from_bytes(program.ask("6", b"123456789"), "little") == 0x31C3
    for data in (b"", b"\x00", b"\xff" * 40, random.Random(3).randbytes(257)):
        assert int.from_bytes(program.ask("6", data), "little") == binascii.crc_hqx(data, 0)


def test_division_of_64_bits_is_exact(program: FirmwareProgram) -> None:
    source = random.Random(4)
    values = [0, 1, 2**32 - 1, 2**32, 2**32 + 1, 2**63, 2**64 - 1, *(source.getrandbits(source.randint(1, 64)) for _ in range(300))]
    for value in values:
        for divisor in (1, 2, 3, 25, 1000, 1_000_000, 2**31 - 1, 2**31, source.randint(1, 2**31)):
            quotient = program.ask("D", value.to_bytes(8, "little") + divisor.to_bytes(4, "little"))
            assert int.from_bytes(quotient, "little") == value // divisor, (value, divisor)
