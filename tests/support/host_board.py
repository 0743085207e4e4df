"""The host board in this process, from objects that are compiled once: a mutant compiles one file more."""

from __future__ import annotations

import atexit
import ctypes
import shutil
import struct
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import cbor2

from tests.support.flash_library import FlashLibrary
from tests.support.model_swap import swap_model_dir
from tinyfleet.crypto_source import crypto_source_dir
from tinyfleet.link.framing import FrameDecoder, encode_message
from tinyfleet.link.memory import NVM_BYTES
from tinyfleet.toolchain import find_host_cc
from tinyfleet_codegen.firmware_tree import firmware_dir
from tinyfleet_codegen.wire.nvm import Identity

_VARIANTS = ("_v6m", "_dsp", "_mve")
_TAKE_BYTES = 1 << 16
Mutant = tuple[str, str, str]
"""File below ``firmware/``, a text in it, and what takes its place."""


def _options(model: Path) -> list[str]:
    firmware = firmware_dir()
    folders = [model, *sorted((firmware / "lib").glob("*/include")), firmware / "boards/host/include", crypto_source_dir()]
    return [
        "-std=c11",
        "-ffp-contract=off",
        "-fwrapv",
        "-fPIC",
        "-O1",
        "-w",
        "-DTYF_CFG_TRANSFER_MARK_BYTES=4096",
        *(f"-I{folder}" for folder in folders),
    ]


@cache
def _objects() -> tuple[Path, dict[Path, Path]]:
    """The model's folder, and source -> object of all that the board is."""
    root = Path(tempfile.mkdtemp(prefix="tinyfleet-"))
    atexit.register(shutil.rmtree, root)
    model = swap_model_dir(root / "model", "host")
    firmware = firmware_dir()
    objects: dict[Path, Path] = {}
    folders = [*sorted((firmware / "lib").glob("*/src")), firmware / "boards/host", firmware / "boards/flash_nvm", model]
    for number, folder in enumerate([*folders, crypto_source_dir()]):
        sources = [path for path in sorted(folder.glob("*.c")) if not path.stem.endswith(_VARIANTS)]
        if folder == crypto_source_dir():
            sources = [folder / "monocypher.c"]
        where = root / f"{number}"
        where.mkdir()
        _run([*find_host_cc(), *_options(model), "-c", *map(str, sources)], where)
        objects |= {source: where / f"{source.stem}.o" for source in sources}
    return model, objects


def build_host_board(folder: Path, mutants: tuple[Mutant, ...] = ()) -> Path:
    """A shared library of the board with the model ``built_in`` and room for others; ``mutants`` change its sources."""
    model, objects = _objects()
    linked = dict(objects)
    texts: dict[Path, str] = {}
    for name, before, after in mutants:
        path = firmware_dir() / name
        text = texts.get(path, path.read_text(encoding="utf-8"))
        assert text.count(before) == 1, f"{name}: {before!r} stands there {text.count(before)} times"
        texts[path] = text.replace(before, after)
    for path, text in texts.items():
        changed = folder / f"mutant_{path.name}"
        changed.write_text(text, encoding="utf-8")
        _run([*find_host_cc(), *_options(model), f"-I{path.parent}", "-c", str(changed), "-o", f"{changed}.o"], folder)
        linked[path] = folder / f"{changed.name}.o"
    library = Path(tempfile.mkstemp(suffix=".so", dir=folder)[1])  # a loader hands out a name that it knows
    _run([*find_host_cc(), "-shared", *map(str, linked.values()), "-o", str(library)], folder)
    return library


def _run(command: list[str], folder: Path) -> None:
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600, check=False)
    assert result.returncode == 0, result.stderr[:3000]


class HostBoard(FlashLibrary):
    """One such board with its flash; commands over SMP."""

    def __init__(self, library: Path) -> None:
        super().__init__(library)
        self.open(Identity(bytes(range(16)), bytes(32)).encode().ljust(NVM_BYTES, b"\xff"))

    def power_on(self) -> None:
        """Start over what the flash holds."""
        self.c.tyf_host_power_on(self.memory, len(self.memory))

    def command(self, op: int, group: int, command: int, body: object) -> dict[str, Any] | None:
        """The reply to a request; None when the power went off instead."""
        payload = cbor2.dumps(body)
        data = encode_message(struct.pack(">BBHHBB", 1 << 3 | op, 0, len(payload), group, 1, command) + payload)
        taken = bytearray()
        sent = 0
        while sent < len(data):
            sent += self.c.tyf_host_feed(data[sent:], len(data) - sent)
            taken += self._take()
        replies = FrameDecoder().feed(bytes(taken))
        if not replies and not self.is_on():
            return None
        (reply,) = replies
        answer = cbor2.loads(reply[8:])
        assert isinstance(answer, dict)
        return answer

    def advance_us(self, us: int) -> None:
        """Let the board's clock go on, and its own sensor with it."""
        self.c.tyf_host_advance_us(ctypes.c_uint64(us))

    def _take(self) -> bytes:
        buffer = ctypes.create_string_buffer(_TAKE_BYTES)
        count = self.c.tyf_host_take(buffer, _TAKE_BYTES)
        return buffer.raw[:count]
