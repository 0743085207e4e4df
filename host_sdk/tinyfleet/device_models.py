"""The models of one device: send packages, let the device prove them, choose which one answers.

::

    models = DeviceModels(device)
    await models.push(package)
    await models.test(TestPolicy(shadow=20, agree=18))
    await models.wait()                      # until it is ready or refused
    await models.confirm()
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import asdict, dataclass
from typing import Any

from tinyfleet.smp import requests
from tinyfleet.smp.client import DeviceClient
from tinyfleet.smp.upload import Progress, UploadReport, upload
from tinyfleet_codegen.errors import DeviceError, LinkTimeout, ProtocolError
from tinyfleet_codegen.wire.ids import ModelPhase, ModelPlace, Status
from tinyfleet_codegen.wire.model_package import DELTA_MAGIC

_DELTA = DELTA_MAGIC.to_bytes(4, "little")
_POLL_S = 0.02
BUSY = (ModelPhase.CHECKING, ModelPhase.PROVING, ModelPhase.SHADOWING)
"""Phases in which the device goes on by itself."""


@dataclass(frozen=True, slots=True)
class TestPolicy:
    """How a package has to prove itself besides its golden vectors; see ``model_test`` in ``docs/spec/wire.md``."""

    __test__ = False  # not a test of pytest's

    shadow: int = 0
    agree: int = 0
    difference: int = 0
    budget_ms: int = 0
    deadline_us: int = 0
    late: int = 0
    stuck: int = 0
    skip_shadow: bool = False
    confirm: bool = False


@dataclass(frozen=True, slots=True)
class ModelSlot:
    """What is in a slot.

    Attributes:
        status: Why it was refused, or gave its place back; OK else.
        generation: What stands for it in telemetry; 0 before it was live.
        received, checked: Bytes that arrived, and that are hashed.
        proved: Golden vectors that came out right.
        shadowed, agreed: Inferences beside the live model, and how many agreed.
        digest: Names the package, once its signature was checked.
    """

    phase: ModelPhase
    status: Status
    generation: int
    received: int
    checked: int
    proved: int
    shadowed: int
    agreed: int
    fault_pc: int
    digest: bytes | None
    model_id: bytes | None
    name: str | None


@dataclass(frozen=True, slots=True)
class Models:
    """All that a device says of its models."""

    live: ModelPlace
    generation: int
    previous: ModelPlace
    reverts: int
    arena_bytes: int
    slot_bytes: int
    kernel_abi: int
    slots: tuple[ModelSlot, ModelSlot]
    kernels: frozenset[int]

    @property
    def free(self) -> ModelSlot:
        """The slot that packages go to."""
        return self.slots[1 if self.live is ModelPlace.SLOT_0 else 0]

    @property
    def live_digest(self) -> bytes | None:
        """Digest of the live package; None for the built-in model."""
        return None if self.live is ModelPlace.BUILT_IN else self.slots[self.live - ModelPlace.SLOT_0].digest


class DeviceModels:
    """See the module. Every method raises LinkError, DeviceError or ProtocolError."""

    def __init__(self, url: str, client: DeviceClient) -> None:
        self._url = url
        self._client = client

    async def list(self, *, kernels: bool = False) -> Models:
        """The places and what is in them; with ``kernels`` also the ids of the kernels that the firmware has."""
        reply = await self._client.ask(requests.ModelsRequest(kernels=kernels or None), repeatable=True)
        ids = reply.kernels or b""
        try:
            return Models(
                live=ModelPlace(reply.live),
                generation=reply.generation,
                previous=ModelPlace(reply.previous),
                reverts=reply.reverts,
                arena_bytes=reply.arena_bytes,
                slot_bytes=reply.slot_bytes,
                kernel_abi=reply.kernel_abi,
                slots=(_slot(reply.slot_0), _slot(reply.slot_1)),
                kernels=frozenset(int.from_bytes(ids[at : at + 4], "little") for at in range(0, len(ids), 4)),
            )
        except ValueError as error:
            raise ProtocolError(f"{self._url} speaks of models as this host does not know: {error}", hint="update tinyfleet") from error

    async def push(self, data: bytes, *, progress: Progress | None = None) -> UploadReport:
        """Send a package or a delta; what the device has already is not sent again, also after a restart.

        Args:
            progress: Called with the bytes that are there and those of all.
        """
        digest = hashlib.sha256(data).digest()

        def chunk(off: int, piece: bytes, begins: bool) -> requests.ModelUploadRequest:
            if not begins:
                return requests.ModelUploadRequest(off=off, data=piece)
            return requests.ModelUploadRequest(off=0, data=piece, len=len(data), sha=digest)

        _, window = await self._client.negotiate()
        return await upload(
            self._client,
            data,
            chunk,
            offset_of=lambda reply: reply.off,
            is_busy=lambda reply: bool(reply.copying),
            # What is under way when a delta begins to copy comes in vain.
            window=1 if data.startswith(_DELTA) else window,
            progress=progress,
        )

    async def test(self, policy: TestPolicy | None = None) -> None:
        """Begin to prove what was pushed; :meth:`wait` tells the end."""
        wanted: dict[str, Any] = {name: value or None for name, value in asdict(policy or TestPolicy()).items()}
        await self._client.ask(requests.ModelTestRequest(**wanted), repeatable=True)

    async def wait(self, *, timeout_s: float = 60.0) -> ModelSlot:
        """Wait until what is being proved is ready, live or refused.

        Raises:
            LinkTimeout: it is still busy then.
            DeviceError: it was refused; ``status`` says why.
        """
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    models = await self.list()
                    slot = next((slot for slot in models.slots if slot.phase in BUSY), None)
                    if slot is None:
                        break
                    await asyncio.sleep(_POLL_S)
        except TimeoutError as error:
            raise LinkTimeout(
                f"{self._url} still proves its package after {timeout_s:g} s", hint="model list shows how far it is"
            ) from error
        slot = models.free
        if slot.phase is ModelPhase.REFUSED:
            raise DeviceError(
                f"{self._url} refused the package: {slot.status.c_name}", status=slot.status.c_name, hint=REASONS.get(slot.status)
            )
        return slot

    async def confirm(self, digest: bytes | None = None) -> int:
        """Make the proved package live; returns its generation."""
        return (await self._client.ask(requests.ModelConfirmRequest(digest=digest), repeatable=digest is not None)).generation

    async def revert(self) -> int:
        """Make the model live that was before; returns its generation."""
        return (await self._client.ask(requests.ModelRevertRequest(), repeatable=False)).generation

    async def erase(self) -> None:
        """Forget what is in the slot that is not live."""
        await self._client.ask(requests.ModelEraseRequest(), repeatable=True)


REASONS = {
    Status.ERR_FORMAT: "it is malformed; make it with: tinyfleet model pack",
    Status.ERR_SIGNATURE: "sign it with the model key that this firmware trusts: tinyfleet model sign",
    Status.ERR_TARGET: "it is for another board or other kernels, or takes other inputs than the live model (--skip-shadow)",
    Status.ERR_VERSION: "the firmware lacks a kernel that it needs; update the firmware first",
    Status.ERR_ARENA: "the board has not enough memory for it, or for its run beside the live model (--skip-shadow)",
    Status.ERR_GOLDEN: "the device computes other bytes than the package promises",
    Status.ERR_FAULT: "it faulted; model list shows where",
    Status.ERR_OVERRUN: "it took longer than its budget (--budget)",
    Status.ERR_DISAGREES: "beside the live model it gave other answers too often",
    Status.ERR_UNHEALTHY: "live, it gave the same answer again and again",
}
"""What to do about a refusal."""


def _slot(reply: requests.ModelsSlot0 | requests.ModelsSlot1) -> ModelSlot:
    facts = reply.model_dump()
    return ModelSlot(**{**facts, "phase": ModelPhase(reply.phase), "status": Status(-reply.status)})
