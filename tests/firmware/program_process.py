"""The firmware's libraries in a process of their own, under AddressSanitizer and UBSan."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path
from typing import Any

import cbor2

from tests.support.batch import SANITIZE, STRICT
from tests.support.model_swap import ARENA_BYTES, write_swap_files
from tinyfleet.crypto_source import crypto_source_dir
from tinyfleet.link.framing import FrameDecoder, encode_message
from tinyfleet.toolchain import find_host_cc
from tinyfleet_codegen.firmware_tree import HOST_CLASS, firmware_dir
from tinyfleet_codegen.wire.nvm import Identity

VARIANTS = ("_v6m", "_dsp", "_mve")
PROGRAM = Path(__file__).parent / "program"
NVM_BYTES = 16384
DEVICE_ID = bytes(range(16))
READ, WRITE = 0, 2
GROUP_OS, GROUP_TINYFLEET = 0, 64


def build_program(folder: Path) -> Path:
    """Compile libraries, host board and ``program/``; returns the executable."""
    firmware = firmware_dir()
    libraries = [path for path in sorted((firmware / "lib").iterdir()) if path.is_dir()]
    sources = [source for library in libraries for source in sorted((library / "src").glob("*.c")) if not source.stem.endswith(VARIANTS)]
    sources += [source for folder in ("host", "flash_nvm") for source in sorted((firmware / "boards" / folder).glob("*.c"))]
    write_swap_files(folder, HOST_CLASS, ARENA_BYTES)
    sources += [*sorted(PROGRAM.glob("*.c")), folder / "kernel_table.c"]
    includes = [folder, *(library / "include" for library in libraries), firmware / "boards/host/include", PROGRAM, crypto_source_dir()]
    output = folder / "program"
    command = [*find_host_cc(), *STRICT, *SANITIZE, "-DTYF_CFG_ASSERT=1", *(f"-I{path}" for path in includes), *map(str, sources)]
    command += [str(build_crypto(folder)), "-o", str(output)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert result.returncode == 0, result.stderr[:4000]
    return output


def build_crypto(folder: Path) -> Path:
    """The crypto source as an object file, under sanitizers; its warnings are not ours."""
    command = [*find_host_cc(), *SANITIZE, "-w", "-c", str(crypto_source_dir() / "monocypher.c"), "-o", str(folder / "monocypher.o")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert result.returncode == 0, result.stderr[:4000]
    return folder / "monocypher.o"


def nvm_image() -> bytes:
    """NVM of a board that has an identity and never booted."""
    return Identity(DEVICE_ID, bytes(32)).encode().ljust(NVM_BYTES, b"\xff")


def message(op: int, group: int, command: int, body: object, *, sequence: int = 1, version: int = 1) -> bytes:
    """An SMP request."""
    payload = cbor2.dumps(body)
    return struct.pack(">BBHHBB", version << 3 | op, 0, len(payload), group, sequence, command) + payload


class FirmwareProgram:
    """One running program. Each call is one request to it; what the letters mean stands in ``program/main.c``."""

    def __init__(self, executable: Path) -> None:
        self._process = subprocess.Popen([executable], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def ask(self, letter: str, data: bytes = b"") -> bytes:
        """Send one request and wait for its reply.

        Raises:
            AssertionError: the program died, with what the sanitizers said.
        """
        assert self._process.stdin and self._process.stdout and self._process.stderr
        self._process.stdin.write(letter.encode() + struct.pack("<I", len(data)) + data)
        self._process.stdin.flush()
        head = self._process.stdout.read(4)
        if len(head) < 4:
            raise AssertionError(self._process.stderr.read().decode(errors="replace")[:4000])
        return self._process.stdout.read(int.from_bytes(head, "little"))

    def stop(self) -> None:
        """End it; what it leaked or broke shows in its exit code."""
        _, errors = self._process.communicate(timeout=300)
        assert self._process.returncode == 0, errors.decode(errors="replace")[:4000]

    def kill(self) -> None:
        """End it when it is too late to ask."""
        self._process.kill()
        self._process.communicate()

    # The host board

    def power_on(self, nvm: bytes) -> None:
        """Start the board with this NVM."""
        self.ask("P", nvm)

    def run_image(self, vector_table: int) -> None:
        """Let the program think that it lies there; 0: in no slot."""
        self.ask("I", struct.pack("<I", vector_table))

    def nvm(self) -> bytes:
        """The board's NVM as it is now."""
        return self.ask("N")

    def exchange(self, request: bytes) -> list[bytes]:
        """Frame one message, feed it, and return the messages that come back."""
        return FrameDecoder().feed(self.ask("F", encode_message(request)))

    def command(self, op: int, group: int, command: int, body: object, *, version: int = 1) -> dict[str, Any]:
        """Send a request; the map of its one reply, whose header is checked."""
        (reply,) = self.exchange(message(op, group, command, body, version=version))
        first, flags, count, reply_group, sequence, reply_command = struct.unpack_from(">BBHHBB", reply)
        assert (first, flags, reply_group, sequence, reply_command) == (version << 3 | (op + 1), 0, group, 1, command)
        assert count == len(reply) - 8
        answer = cbor2.loads(reply[8:])
        assert isinstance(answer, dict)
        return answer
