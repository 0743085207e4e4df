"""Model packages as the device reads them."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from tests.firmware.program_process import FirmwareProgram
from tests.support.small_models import INPUTS, dense_package
from tinyfleet.model_package import GoldenPlan, pack_model, read_package
from tinyfleet_codegen.wire import model_package as wire
from tinyfleet_codegen.wire.ids import Status

LARGE = dense_package("large", 2, outputs=100)


@pytest.fixture(scope="module")
def package() -> bytes:
    stored = np.arange(INPUTS, dtype=np.int8).reshape(1, 8, 3)
    return pack_model(dense_package("dense", 1), "host", golden=GoldenPlan(seed=7, count=3, stored=stored))


def test_the_device_reads_what_the_host_reads(program: FirmwareProgram, package: bytes) -> None:
    for data in (package, pack_model(LARGE, "mps2_an386")):
        contents = read_package(data)
        reply = program.ask("K", data + b"\xff" * 5)  # a slot is larger
        assert reply[0] == 0
        signed = data.index(struct.pack("<HH", 0x10, 32)) - 4
        numbers = (len(contents.blob), signed, len(data), contents.kernel_abi, contents.arena_bytes)
        numbers += (contents.input_bytes, contents.output_bytes, contents.input_dtype, contents.output_dtype)
        assert struct.unpack_from("<9I", reply, 1) == numbers
        expected = contents.model_id + struct.pack(f"<{len(contents.kernels)}I", *contents.kernels)
        expected += b"".join(struct.pack("<II", v.seed, 0xFFFFFFFF if v.case is None else v.case) + v.output for v in contents.vectors)
        assert reply[37:] == expected


def change(data: bytes, offset: int, code: str, value: int) -> bytes:
    return data[:offset] + struct.pack(f"<{code}", value) + data[offset + struct.calcsize(code) :]


def test_the_device_refuses_what_is_malformed(program: FirmwareProgram, package: bytes) -> None:
    contents = read_package(package)
    tlvs = wire.HEADER_BYTES + len(contents.blob)
    facts = package.index(struct.pack("<HH", wire.Tlv.FACTS, wire.FACTS_STRUCT.size), tlvs)
    golden = package.index(struct.pack("<H", wire.Tlv.GOLDEN), facts)

    def status(data: bytes) -> Status:
        reply = program.ask("K", data)
        return Status(struct.unpack("b", reply[:1])[0])

    assert status(package) is Status.OK
    assert status(change(package, 16, "I", 0)) is Status.ERR_TARGET  # bootable: firmware
    assert status(change(package, facts + 4, "H", 2)) is Status.ERR_VERSION
    entries = package[facts : golden + 4]
    malformed = {
        "magic": change(package, 0, "I", 1),
        "header size": change(package, 8, "H", 64),
        "protected size": change(package, 10, "H", 0),
        "protected size larger": change(package, 10, "H", 0xFFFF),
        "body beyond the end": change(package, 12, "I", 0xFFFFFFF0),
        "no protected area": change(package, tlvs, "H", wire.TLV_MAGIC),
        "area larger than its header says": change(package, tlvs + 2, "H", 0xFFFF),
        "no facts": change(package, facts, "H", 0x1A0),
        "two facts": change(package, golden, "H", wire.Tlv.FACTS),
        "entry larger than its area": change(package, golden + 2, "H", 0xFFF0),
        "unknown kind of input": change(package, golden + 4, "B", 2),
        "unknown kind of output": change(package, golden + 5, "B", 2),
        "other output size": change(package, golden + 6, "H", 4),
        "a hash of 5 bytes": change(package, golden + 5, "B", 1),
        "stored input of another size": change(package, facts + 4 + 12, "I", INPUTS + 1),
        "no input": change(package, facts + 4 + 12, "I", 0),
    }
    for name, data in malformed.items():
        assert data != package and status(data) is Status.ERR_FORMAT, name
    # What should be protected is not taken from elsewhere (CVE-2024-32883 of MCUboot was that).
    moved = change(package, facts, "H", 0x1A0) + entries
    end = len(package) - 4 - 36
    moved = change(moved, end + 2, "H", len(moved) - end)
    assert status(moved) is Status.ERR_FORMAT
    for count in [*range(40), *range(tlvs, len(package))]:
        assert status(package[:count]) is Status.ERR_FORMAT
