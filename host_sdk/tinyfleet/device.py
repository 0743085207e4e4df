"""A device: identity, inference, telemetry, whatever link it hangs on.

::

    async with open_device("tcp://127.0.0.1:5555") as device:
        print((await device.hello()).device_id.hex())

    with connect("serial:///dev/ttyACM0") as device:      # the same, synchronous
        scores = device.infer(window.tobytes())
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import fields
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel

from tinyfleet.device_keys import load_keys
from tinyfleet.device_models import DeviceModels
from tinyfleet.device_reports import Hello, ModelInfo, Results, Sampling, SessionStatus, SlotImage, Stats, Task
from tinyfleet.link import Link, open_link
from tinyfleet.smp import requests
from tinyfleet.smp.client import DeviceClient
from tinyfleet.smp.upload import Progress, UploadReport, upload
from tinyfleet.sync_device import RESTART_TIMEOUT_S, SyncDevice, connect
from tinyfleet.window import WindowFetch, WindowPiece
from tinyfleet_codegen.errors import DeviceError, LinkLost, LinkTimeout, ProtocolError, SessionLost, UsageError
from tinyfleet_codegen.wire.crash import CrashRecord, decode_crash
from tinyfleet_codegen.wire.events import FILE as EVENTS_FILE
from tinyfleet_codegen.wire.events import Event, decode_events
from tinyfleet_codegen.wire.ids import PROTOCOL_MAX, PROTOCOL_MIN, DType
from tinyfleet_codegen.wire.record import split_records
from tinyfleet_codegen.wire.seeded import HASH_BYTES

__all__ = [
    "Device",
    "Hello",
    "ModelInfo",
    "Results",
    "Sampling",
    "SessionStatus",
    "SlotImage",
    "Stats",
    "SyncDevice",
    "UploadReport",
    "connect",
    "open_device",
]

log = logging.getLogger(__name__)

_STACK_WORD_BYTES = 4
MOST_BEGINS = 4
"""How often a sequence of inferences is begun that the link broke off."""
_RESTART_POLL_S = 0.1
_SLICE_OF_DEADLINE = 0.25
"""Share of the deadline that one request for several inferences should take."""

_NO_WINDOW = {
    "TYF_ERR_GONE": "newer ones have taken its place, or the device has restarted since: fetch it sooner, or build with a larger "
    "TYF_CFG_CAPTURE_BYTES",
    "TYF_ERR_ARG": "there was no such record: device results lists them",
    "MGMT_ERR_ENOTSUP": "this firmware keeps no windows: build it with a TYF_CFG_CAPTURE_BYTES that holds at least one",
}

ReportT = TypeVar("ReportT", Hello, ModelInfo, Sampling, SessionStatus, Stats)


@asynccontextmanager
async def open_device(url: str, *, timeout_s: float = 5.0, in_session: bool = True, own_port: bool = False) -> AsyncIterator[Device]:
    """Open a device and agree on buffer sizes and protocol version; in a session when this host has a key for it, over the air always.

    Args:
        url: Device URL, see :mod:`tinyfleet.link`.
        timeout_s: Deadline for opening the link, then for each request. A call that needs several requests
            (a large tensor, a long replay) may take longer, but never waits longer for one answer.
        in_session: False: speak in the open though there is a key, for a device that has lost its own.
        own_port: Not through a gateway that holds the port; see :func:`tinyfleet.link.open_link`.

    Raises:
        LinkError: there is no device, or it does not answer.
        ProtocolError: it speaks no version that this host speaks.
        AccessError: it does not take this host's key, or this host has none and the link is over the air.
        StoreError: the file with its key is damaged, or open to others.
    """
    async with open_link(url, timeout_s=timeout_s, own_port=own_port) as link:
        device = Device(url, DeviceClient(link, timeout_s), timeout_s)
        await device.params()
        hello = await device.hello()
        if hello.proto_min > PROTOCOL_MAX or hello.proto_max < PROTOCOL_MIN:
            raise ProtocolError(
                f"{url} speaks protocol {hello.proto_min} to {hello.proto_max}, this host {PROTOCOL_MIN} to {PROTOCOL_MAX}",
                hint="update tinyfleet on this host" if hello.proto_min > PROTOCOL_MAX else "update the board's firmware",
            )
        if in_session and not link.is_in_session and (link.needs_session or load_keys(hello.device_id)):
            await device.open_session(link, hello.device_id)
        yield device


class Device:
    """One open device. Its methods may be called from several tasks; requests take turns.

    Every method raises LinkTimeout, LinkClosed, DeviceError or ProtocolError. What the device may get twice without
    harm is sent again once when no answer came; ``reset`` is not, nor is the tensor of an ``infer`` that goes on from the one before.

    In a session also AccessError. A device that restarted has forgotten its session: then a new one is opened and the request sent again,
    or SessionLost raised where that could do harm; what is asked after it is answered as before.
    """

    def __init__(self, url: str, client: DeviceClient, timeout_s: float) -> None:
        self.url = url
        self._client = client
        self._open_client = client  # in no session
        self._timeout_s = timeout_s

    @property
    def is_in_session(self) -> bool:
        """Whether requests are sealed."""
        return self._client is not self._open_client

    @property
    def message_bytes(self) -> int:
        """Largest message that :meth:`exchange` takes."""
        return self._client.message_bytes

    async def exchange(self, message: bytes) -> bytes:
        """Send one SMP message as it is, header included, and return the reply to it.

        Raises:
            SessionLost, LinkLost: it may have been done or not; session and connection are new ones already.
        """
        return await self._client.exchange(message)

    @property
    def models(self) -> DeviceModels:
        """Its models as packages: send, prove, swap, revert."""
        return DeviceModels(self.url, self._client)

    async def open_session(self, link: Link, device_id: bytes) -> None:
        """Seal all further requests with a key that this host has; when the device restarts, a new session is opened without further ado.

        Args:
            link: What the device hangs on.
            device_id: The device that is meant.

        Raises:
            AccessError: this host has no key, or the device takes none of them.
            StoreError: a file with a key is damaged, or open to others.
        """
        from tinyfleet.smp.sealed_link import open_session  # noqa: PLC0415 - most hosts never need cryptography

        try:
            async with asyncio.timeout(2 * self._timeout_s):  # perhaps for another connection, or for each of two keys
                while True:
                    try:
                        sealed = await open_session(link, device_id, lambda: load_keys(device_id), timeout_s=self._timeout_s)
                        break
                    except LinkLost:
                        await link.renew(self._timeout_s)
        except TimeoutError as error:
            raise LinkTimeout(f"{self.url} did not open a session within {2 * self._timeout_s:g} s") from error
        self._client = DeviceClient(sealed, self._timeout_s, beside=self._open_client)

    async def session_status(self) -> SessionStatus:
        """Whether the device has a key, asks for sessions, and answers in one now."""
        return _report(SessionStatus, await self._client.ask(requests.SessionStatusRequest(), repeatable=True))

    async def provision(self, key: bytes, *, lock: bool = False) -> None:
        """Give the device a new key for sessions; durable when this returns, and the session of this call ends.

        Args:
            key: 32 random bytes, for this device alone.
            lock: Let it ask for a session on every link from now on; there is no way back but erasing its settings.

        Raises:
            DeviceError: it is locked and this is no session (``MGMT_ERR_EACCESSDENIED``), or cannot keep a key.
        """
        if self._client.needs_session:
            raise UsageError(f"{self.url}: a first key is given over a wire", hint="tinyfleet device provision serial:///dev/ttyACM0")
        await self._client.ask(requests.SessionProvisionRequest(psk=key, lock=lock), repeatable=True)

    async def hello(self) -> Hello:
        """Who the device is."""
        return _report(Hello, await self._client.ask(requests.HelloRequest(), repeatable=True))

    async def model_info(self) -> ModelInfo:
        """The model that it runs.

        Raises:
            ProtocolError: the model has an element type that this host does not know.
        """
        reply = await self._client.ask(requests.ModelInfoRequest(), repeatable=True)
        try:
            types = {"input_dtype": DType(reply.input_dtype), "output_dtype": DType(reply.output_dtype)}
        except ValueError as error:
            raise ProtocolError(f"{self.url} has a model of an unknown type: {error}", hint="update tinyfleet on this host") from error
        return _report(ModelInfo, reply, **types)

    async def infer(self, data: bytes, *, reset: bool = False) -> bytes:
        """Run the model on one input tensor.

        Args:
            data: The whole tensor, ``input_bytes`` of the model info.
            reset: Let a streaming model forget earlier inputs first.

        Returns:
            The output tensor.
        """
        if not data:
            raise UsageError("an input tensor has at least one byte")
        step = self._client.payload_bytes
        reply = None
        for start in range(0, len(data), step):
            chunk = data[start : start + step]
            # Twice the whole tensor would be two inferences. Of several chunks the first twice begins anew, the others count once.
            once = start == 0 and len(chunk) == len(data) and not reset
            reply = await self._client.ask(requests.InferRequest(off=start, data=chunk, reset=reset and start == 0), repeatable=not once)
            if reply.off != start + len(chunk):
                raise ProtocolError(f"{self.url} holds {reply.off} input bytes, {start + len(chunk)} were sent")
        if reply is None or reply.out_bytes is None:
            raise UsageError(f"{self.url} waits for more than {len(data)} input bytes", hint="device info shows input_bytes")
        return await self.last_output()

    async def last_output(self) -> bytes:
        """The output of the last inference, whoever asked for it."""
        output = b""
        while True:
            reply = await self._client.ask(requests.OutputRequest(off=len(output)), repeatable=True)
            if reply.off != len(output):
                raise ProtocolError(f"{self.url} sent output from byte {reply.off}, asked was {len(output)}")
            output += reply.data
            if len(output) >= reply.len:
                return output
            if not reply.data:
                raise ProtocolError(f"{self.url} sent {len(output)} of {reply.len} output bytes")

    async def self_infer(self, seed: int, first: int, count: int) -> list[bytes]:
        """Run inputs that the device makes itself (:mod:`tinyfleet_codegen.wire.seeded`), one after the other from a reset on.

        What comes of it is always the same, so that after a loss it is done again, from the reset on: the model may remember.

        Returns:
            One 8-byte hash of the output per case ``first`` .. ``first + count - 1``.
        """
        hashes: list[bytes] = []
        batch, begins = 1, 1
        while len(hashes) < count:
            batch = min(batch, count - len(hashes))
            started = time.monotonic()
            request = requests.SelfInferRequest(seed=seed, first=first + len(hashes), count=batch, keep=bool(hashes))
            try:
                reply = await self._client.ask(request, repeatable=not hashes)
            except (LinkTimeout, LinkLost, SessionLost) as error:
                if not hashes or begins == MOST_BEGINS:
                    raise
                begins += 1
                hashes.clear()
                log.info("seeded inferences begin again url=%s error=%s", self.url, error)
                continue
            got = _split_hashes(self.url, reply.hashes)
            if len(got) > batch:
                raise ProtocolError(f"{self.url} sent {len(got)} hashes, asked were {batch}")
            hashes += got
            # A board may be a thousand times slower than another: ask for as many as fit well into the deadline.
            per_case_s = (time.monotonic() - started) / len(got)
            batch = max(1, min(2 * batch, int(_SLICE_OF_DEADLINE * self._timeout_s / max(per_case_s, 1e-6))))
        return hashes

    async def self_infer_layers(self, seed: int, case: int) -> list[bytes]:
        """One 8-byte hash of what each layer wrote, for one such input."""
        hashes, _ = await self._traced(seed, case)
        return hashes

    async def layer_instructions(self, seed: int, case: int) -> list[int]:
        """Instructions that each layer executed for one such input; zeros on a board that cannot count them."""
        _, instructions = await self._traced(seed, case)
        return instructions

    async def _traced(self, seed: int, case: int) -> tuple[list[bytes], list[int]]:
        layers = (await self.model_info()).layers
        hashes: list[bytes] = []
        instructions: list[int] = []
        while len(hashes) < layers:
            request = requests.SelfInferRequest(seed=seed, first=case, layers=True, first_layer=len(hashes))
            reply = await self._client.ask(request, repeatable=True)
            if (reply.first_layer or 0) != len(hashes):
                raise ProtocolError(f"{self.url} sent hashes from layer {reply.first_layer}, asked was {len(hashes)}")
            got = _split_hashes(self.url, reply.hashes)
            counts = reply.instructions or bytes(4 * len(got))
            if len(counts) != 4 * len(got):
                raise ProtocolError(f"{self.url} sent {len(got)} layers and {len(counts)} bytes of instructions")
            hashes += got
            instructions += np.frombuffer(counts, "<u4").tolist()
        return hashes, instructions

    async def results(self, since: int, max_records: int) -> Results:
        """Telemetry records from seq ``since`` on, at most ``max_records``; frees nothing on the device."""
        reply = await self._client.ask(requests.ResultsRequest(since=since, max=max_records), repeatable=True)
        records = tuple(split_records(reply.records))
        return Results(boot_id=reply.boot_id, device_id=reply.device_id, next=reply.next, lost=reply.lost, records=records)

    async def window(self, boot_id: int, seq: int) -> npt.NDArray[Any]:
        """What the answer of a record was made from, as long as the device still keeps it.

        Run through the same model it gives the record's output again, bit for bit, unless the model remembers earlier inputs.

        Returns:
            int16 ``[samples, channels]`` in raw units where the model was fed with samples, else its input: ``[samples, channels]``, or
            ``[values]`` where the device does not know the channels.

        Raises:
            DeviceError: newer windows have taken its place (``TYF_ERR_GONE``), there was no such record (``TYF_ERR_ARG``), or this
                firmware keeps none (``MGMT_ERR_ENOTSUP``).
        """
        fetch = WindowFetch(boot_id, seq)
        while not fetch.is_complete:
            fetch.take(await self.window_piece(boot_id, seq, fetch.next_off))
        return fetch.window().array()

    async def window_piece(self, boot_id: int, seq: int, off: int) -> WindowPiece:
        """One request of :meth:`window`: what fits into a reply, from byte ``off`` on."""
        try:
            reply = await self._client.ask(requests.WindowRequest(boot_id=boot_id, seq=seq, off=off), repeatable=True)
        except DeviceError as error:
            if error.status in _NO_WINDOW:
                raise DeviceError(
                    f"{self.url} has no window of record {boot_id}/{seq}: {error.status}",
                    status=error.status,
                    hint=_NO_WINDOW[error.status],
                ) from error
            raise
        try:
            dtype = DType(reply.dtype)
        except ValueError as error:
            raise ProtocolError(f"{self.url} keeps windows of an unknown type: {error}", hint="update tinyfleet on this host") from error
        return WindowPiece(reply.off, reply.data, reply.len, dtype, reply.channels, bool(reply.state))

    async def replay(self, stream: int, samples: npt.NDArray[np.int16], *, start: int = 0) -> None:
        """Feed recorded samples as if a sensor had measured them.

        Args:
            stream: Number of the recording, >= 1; a new number begins a new window. The device takes each sample of a
                stream once: to replay a recording again, give it another number.
            samples: ``[n, channels]``, int16 in the model's fixed units.
            start: Index of ``samples[0]`` within the recording; 0 for a new one, else where the last call ended.

        Raises:
            UsageError: the samples have another shape or type.
            ProtocolError: the device is at another place of another recording.
        """
        if samples.ndim != 2 or samples.dtype != np.int16 or not samples.shape[1]:
            raise UsageError(f"samples must be int16 [n, channels], got {samples.dtype} {list(samples.shape)}")
        step = self._client.payload_bytes // (2 * samples.shape[1])
        if step < 1:
            raise UsageError(f"one sample of {samples.shape[1]} channels does not fit into a request of {self._client.payload_bytes} bytes")
        data = np.ascontiguousarray(samples, dtype="<i2")
        position, end = start, start + len(samples)
        while position < end:
            chunk = data[position - start : position - start + step]
            reply = await self._client.ask(requests.ReplayRequest(stream=stream, off=position, data=chunk.tobytes()), repeatable=True)
            # After a repetition the device answers with where it is, whichever of the two it took.
            if reply.stream != stream or reply.off != position + len(chunk):
                raise ProtocolError(
                    f"{self.url} is at sample {reply.off} of stream {reply.stream}, expected {position + len(chunk)} of stream {stream}",
                    hint="did it restart, or does another host feed it? begin a new stream number at 0",
                )
            position = reply.off

    async def stats(self) -> Stats:
        """Counters since boot."""
        return _report(Stats, await self._client.ask(requests.StatsRequest(), repeatable=True))

    async def tasks(self) -> list[Task]:
        """What its main loop and its live inference took of time and of their stacks."""
        tasks = (await self._client.ask(requests.TaskStatisticsRequest(), repeatable=True)).tasks
        return [
            Task(name, task.prio, task.stksiz * _STACK_WORD_BYTES, task.stkuse * _STACK_WORD_BYTES, task.cswcnt, task.runtime)
            for name, task in tasks.items()
        ]

    async def sample(self, period_ms: int, *, seed: int = 0, count: int = 0) -> Sampling:
        """Let the device's own sensor measure; its answers are records of stream 0.

        It measures what :mod:`tinyfleet_codegen.wire.seeded` makes of ``seed``, case 0, 1, ...

        Args:
            period_ms: Time from one answer to the next, 1 .. 60000; 0: stop.
            seed: Any number below 2**32.
            count: Answers; 0: until stopped.
        """
        request = requests.SamplingRequest(period_ms=period_ms, seed=seed, count=count)
        return _report(Sampling, await self._client.ask(request, repeatable=False))

    async def sampling(self) -> Sampling:
        """How far that is."""
        return _report(Sampling, await self._client.ask(requests.SamplingStateRequest(), repeatable=True))

    async def crash(self) -> CrashRecord | None:
        """Its last crash; None when it remembers none.

        Raises:
            ProtocolError: the record is damaged, or of a later version.
        """
        try:
            data = await self.read_file("crash")
        except DeviceError as error:
            if error.status == "TYF_FS_ERR_FILE_NOT_FOUND":
                return None
            raise
        record = decode_crash(data)
        if record is None:
            raise ProtocolError(f"{self.url} has a crash record of {len(data)} bytes that this host cannot read", hint="update tinyfleet")
        return record

    async def events(self) -> list[Event]:
        """What was done to it and what it did by itself, oldest first; kept over resets, not over a loss of power."""
        try:
            return decode_events(await self.read_file(EVENTS_FILE))
        except DeviceError as error:
            if error.status == "TYF_FS_ERR_FILE_NOT_FOUND":
                return []
            raise

    async def echo(self, text: str) -> str:
        """Send text to the device and back."""
        return (await self._client.ask(requests.EchoRequest(d=text), repeatable=True)).r

    async def params(self) -> tuple[int, int]:
        """Size of the largest frame in bytes, and number of such buffers."""
        return await self._client.negotiate()

    async def statistics(self) -> dict[str, dict[str, int]]:
        """All counters that it offers, by group."""
        names = (await self._client.ask(requests.StatListRequest(), repeatable=True)).stat_list
        return {name: (await self._client.ask(requests.StatReadRequest(name=name), repeatable=True)).fields for name in names}

    async def read_setting(self, name: str) -> bytes:
        """The value of a setting."""
        return (await self._client.ask(requests.SettingReadRequest(name=name), repeatable=True)).val

    async def write_setting(self, name: str, value: bytes) -> None:
        """Set it, durably; at most 32 bytes of name and 256 of value."""
        await self._client.ask(requests.SettingWriteRequest(name=name, val=value), repeatable=True)

    async def delete_setting(self, name: str) -> None:
        """Remove it, durably; also when it is not set."""
        await self._client.ask(requests.SettingDeleteRequest(name=name), repeatable=True)

    async def read_file(self, name: str) -> bytes:
        """A file of the device, such as ``crash``."""
        data, total = b"", None
        while total is None or len(data) < total:
            reply = await self._client.ask(requests.FileReadRequest(name=name, off=len(data)), repeatable=True)
            total = reply.len if total is None else total
            if total is None or reply.off != len(data) or not reply.data:
                raise ProtocolError(f"{self.url} sent {len(reply.data)} bytes of {name} from {reply.off}, asked was from {len(data)}")
            data += reply.data
        return data

    async def images(self) -> list[SlotImage]:
        """The firmware images in its slots, by slot."""
        return _images((await self._client.ask(requests.ImageStateRequest(), repeatable=True)).images)

    async def upload_image(self, data: bytes, *, is_upgrade: bool = False, progress: Progress | None = None) -> UploadReport:
        """Send a firmware image into the slot that does not run. An upload that broke off goes on; an image that is there is done.

        Args:
            data: The signed image for that slot.
            is_upgrade: The device refuses it when it is not newer than what runs.
            progress: Called with bytes held by the device, and their total.
        """
        sha = hashlib.sha256(data).digest()

        def chunk(off: int, piece: bytes, begins: bool) -> requests.ImageUploadRequest:
            if not begins:
                return requests.ImageUploadRequest(off=off, data=piece)
            return requests.ImageUploadRequest(off=0, data=piece, len=len(data), sha=sha, image=0, upgrade=is_upgrade)

        _, window = await self.params()
        return await upload(self._client, data, chunk, offset_of=lambda reply: reply.off, window=window, progress=progress)

    async def test_image(self, digest: bytes) -> list[SlotImage]:
        """Have an image started once, at the next reset; the device checks it first."""
        request = requests.ImageStateWriteRequest(hash=digest, confirm=False)
        return _images((await self._client.ask(request, repeatable=True)).images)

    async def confirm_image(self) -> list[SlotImage]:
        """Keep the image that runs."""
        return _images((await self._client.ask(requests.ImageStateWriteRequest(confirm=True), repeatable=True)).images)

    async def erase_image(self) -> None:
        """Erase the slot that does not run."""
        await self._client.ask(requests.ImageEraseRequest(), repeatable=True)

    async def reset(self) -> None:
        """Restart the device; returns when it has promised to."""
        await self._client.ask(requests.ResetRequest(), repeatable=False)

    async def restart(self, *, timeout_s: float = RESTART_TIMEOUT_S) -> Hello:
        """Restart the device and wait until it answers again; a session is opened anew.

        Args:
            timeout_s: Longest wait, its bootloader's work included.

        Raises:
            LinkTimeout: it did not come back.
            AccessError: it does not take this host's key any more.
        """
        before = (await self.hello()).boot_id
        is_asked = is_promised = False
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if not is_asked:
                is_asked = True
                with contextlib.suppress(SessionLost, LinkLost, LinkTimeout):
                    await self.reset()
                    is_promised = True
            try:
                hello = _report(Hello, await self._open_client.ask(requests.HelloRequest(), repeatable=True))
            except (LinkTimeout, LinkLost):
                continue
            if hello.boot_id != before:
                if self._client is not self._open_client:
                    await self._client.renew()
                return hello
            # It still is the one before: it has promised and is about to, or it never heard of it.
            is_asked = is_promised
            await asyncio.sleep(_RESTART_POLL_S)
        raise LinkTimeout(f"{self.url} did not come back within {timeout_s:g} s", hint="is it powered, and has it an identity?")


def _report(kind: type[ReportT], reply: BaseModel, **converted: Any) -> ReportT:
    """A reply as plain data: the fields that we know, as they are or as ``converted``."""
    return kind(**{field.name: converted.get(field.name, getattr(reply, field.name)) for field in fields(kind)})


def _images(images: list[requests.ImageStateImage] | list[requests.ImageStateWriteImage]) -> list[SlotImage]:
    found = [
        SlotImage(
            slot=image.slot,
            version=image.version,
            hash=image.hash,
            is_pending=image.pending,
            is_confirmed=image.confirmed,
            is_active=image.active,
        )
        for image in images
    ]
    return sorted(found, key=lambda image: image.slot)


def _split_hashes(url: str, data: bytes) -> list[bytes]:
    if not data or len(data) % HASH_BYTES:
        raise ProtocolError(f"{url} sent {len(data)} bytes of hashes, expected a multiple of {HASH_BYTES}")
    return [data[start : start + HASH_BYTES] for start in range(0, len(data), HASH_BYTES)]
