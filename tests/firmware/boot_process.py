"""The image check of ``lib/boot`` in a process of its own, under AddressSanitizer and UBSan."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.firmware.program_process import FirmwareProgram, build_crypto
from tests.support.batch import SANITIZE, STRICT
from tests.support.images import keys_header
from tinyfleet.crypto_source import crypto_source_dir
from tinyfleet.toolchain import find_host_cc
from tinyfleet_codegen.firmware_tree import firmware_dir
from tinyfleet_codegen.wire.ids import Status

SLOT_0, SLOT_1, MODEL = range(3)
"""What an image is checked as."""
LIBRARIES = ("boot", "core", "crypto", "flash_map")


def build_boot_program(folder: Path, *, firmware: Path | None = None) -> Path:
    """Compile it with the tests' keys; ``firmware``: tree to compile, when not the project's: a broken copy."""
    firmware = firmware or firmware_dir()
    sources = [path for name in LIBRARIES for path in sorted((firmware / "lib" / name / "src").glob("*.c"))]
    sources += [firmware / "boards/host/flash.c", firmware / "boards/host/image.c", Path(__file__).parent / "boot_program/main.c"]
    includes = [*sorted((firmware / "lib").glob("*/include")), firmware / "boards/host/include", folder, crypto_source_dir()]
    (folder / "tyf_keys.h").write_text(keys_header())
    output = folder / "boot_program"
    command = [*find_host_cc(), *STRICT, *SANITIZE, *(f"-I{path}" for path in includes), *map(str, sources)]
    command += [str(build_crypto(folder)), "-o", str(output)]
    built = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert built.returncode == 0, built.stderr[:4000]
    return output


class BootProgram(FirmwareProgram):
    """A running one; what the letters mean stands in ``boot_program/main.c``."""

    def check(self, image: bytes, kind: int = SLOT_0, *, least_counter: int = 0, is_firmware_running: bool = True) -> Status:
        """``tyf_image_check``, at once and in steps."""
        answer = self.ask("C", struct.pack("<III", kind, least_counter, is_firmware_running) + image)
        return Status(int.from_bytes(answer, "little", signed=True))

    def check_with_key(self, image: bytes, pinned: bytes) -> Status:
        """The same for slot 0, with another key pinned."""
        return Status(int.from_bytes(self.ask("K", pinned + image), "little", signed=True))

    def check_header(self, first: bytes, kind: int = SLOT_0) -> Status:
        """``tyf_image_check_header``."""
        return Status(int.from_bytes(self.ask("H", struct.pack("<I", kind) + first), "little", signed=True))

    def version_text(self, version: tuple[int, int, int, int]) -> str:
        """``tyf_image_version_text``."""
        return self.ask("V", struct.pack("<BBHI", *version)).decode()

    def fuzz(self, images: Sequence[bytes], kind: int, seed: int, rounds: int) -> tuple[int, int]:
        """Check damaged images: how many were accepted all the same (behind what is signed), and how many were malformed."""
        corpus = b"".join(struct.pack("<I", len(image)) + image for image in images)
        done, accepted, malformed = struct.unpack("<III", self.ask("Z", struct.pack("<III", kind, seed, rounds) + corpus))
        assert done == rounds
        return accepted, malformed
