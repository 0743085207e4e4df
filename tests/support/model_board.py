"""The models of a board over SMP, as a test drives them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from tests.support.model_swap import (
    ARENA_BYTES,
    Bad,
    with_bad_kernel,
    with_facts,
    with_wrong_golden,
    write_key,
)
from tests.support.signed_images import firmware_key
from tests.support.small_models import INPUTS, dense_package
from tinyfleet.engine import BlobModel
from tinyfleet.model_package import pack_model, read_package, sign_package
from tinyfleet_codegen.wire.ids import Command, ModelPhase, ModelPlace, SmpGroup, Status

READ, WRITE = 0, 2
A, B = dense_package("a", 2), dense_package("b", 3)
RETRAINED = dense_package("a", 2, head_seed=7)
STEP = 700
BUDGET_MS = 50


class PowerOff(Exception):
    """The board's power went off before it answered."""


class Target(Protocol):
    """What takes SMP requests."""

    def command(self, op: int, group: int, command: int, body: object) -> dict[str, Any] | None:
        """The reply; None when there is none because the power went off."""


class ModelBoard:
    """A board that takes models. Every method raises PowerOff where that can happen."""

    def __init__(self, target: Target) -> None:
        self.target = target

    def ask(self, command: Command, op: int = WRITE, **body: Any) -> dict[str, Any]:
        """One request of group 64."""
        reply = self.target.command(op, SmpGroup.TINYFLEET, command, body)
        if reply is None:
            raise PowerOff
        return reply

    def status(self, command: Command, **body: Any) -> Status:
        reply = self.ask(command, **body)
        return Status(-reply["err"]["rc"]) if "err" in reply else Status.OK

    def models(self) -> dict[str, Any]:
        return self.ask(Command.MODELS, READ)

    def free(self) -> dict[str, Any]:
        models = self.models()
        slot: dict[str, Any] = models["slot_1" if models["live"] == ModelPlace.SLOT_0 else "slot_0"]
        return slot

    def push(self, data: bytes) -> Status:
        """Send all; where a delta copies, again and again."""
        at = 0
        for _ in range(2000):
            first = {"len": len(data), "sha": hashlib.sha256(data).digest()} if at == 0 else {}
            reply = self.ask(Command.MODEL_UPLOAD, off=at, data=data[at : at + STEP], **first)
            if "err" in reply:
                return Status(-reply["err"]["rc"])
            at = reply["off"]
            if at == len(data):
                return Status.OK
        raise AssertionError(f"stuck at {at}")

    def prove(self, data: bytes, **policy: Any) -> tuple[ModelPhase, Status]:
        """Push and test; the host board proves at once."""
        assert self.push(data) is Status.OK
        assert self.status(Command.MODEL_TEST, **{"budget_ms": BUDGET_MS, **policy}) is Status.OK
        slot = self.free()
        return ModelPhase(slot["phase"]), Status(-slot["status"])

    def swap(self, data: bytes, **policy: Any) -> int:
        assert self.prove(data, **policy) == (ModelPhase.READY, Status.OK)
        return int(self.ask(Command.MODEL_CONFIRM)["generation"])

    def infer(self, x: bytes) -> bytes:
        assert self.ask(Command.INFER, off=0, data=x)["off"] == len(x)
        return bytes(self.ask(Command.INFER, READ, off=0)["data"])

    def reset(self) -> None:
        self.target.command(WRITE, SmpGroup.OS, 5, {})

    def live(self) -> tuple[ModelPlace, int]:
        models = self.models()
        return ModelPlace(models["live"]), models["generation"]


def some_input(seed: int) -> bytes:
    x: bytes = np.random.default_rng(seed).integers(-60, 60, INPUTS, dtype=np.int8).tobytes()
    return x


def answer(package: bytes, x: bytes) -> bytes:
    """What a package must answer, by the engine of the host."""
    return BlobModel(read_package(package).blob).run(np.frombuffer(x, np.int8).reshape(1, -1)).tobytes()


def refused_packages(a: bytes, key: Path, folder: Path) -> dict[str, tuple[bytes, Status]]:
    contents = read_package(a)
    unsigned = pack_model(A, "host")
    flipped = bytearray(a)
    flipped[32 + len(contents.blob) // 2] ^= 4
    other = write_key(folder, firmware_key())
    return {
        "unsigned": (unsigned, Status.ERR_SIGNATURE),
        "the firmware key": (sign_package(a, other), Status.ERR_SIGNATURE),
        "a changed weight": (bytes(flipped), Status.ERR_SIGNATURE),
        "another board": (pack_model(A, "mps2_an386", key=key), Status.ERR_TARGET),
        "another ABI": (with_facts(a, key, kernel_abi=contents.kernel_abi ^ 1), Status.ERR_TARGET),
        "a larger arena": (with_facts(a, key, arena_bytes=ARENA_BYTES + 4096), Status.ERR_ARENA),
        "another arena than the blob's": (with_facts(a, key, arena_bytes=contents.arena_bytes + 16), Status.ERR_FORMAT),
        "a kernel that is absent": (with_facts(a, key, kernels=(*contents.kernels, 0xFFFFFFFF)), Status.ERR_VERSION),
        "another golden output": (with_wrong_golden(a, key), Status.ERR_GOLDEN),
        "a kernel that faults": (with_bad_kernel(a, "host", Bad.FAULT, key), Status.ERR_FAULT),
        "a kernel that hangs": (with_bad_kernel(a, "host", Bad.HANG, key), Status.ERR_OVERRUN),
    }
