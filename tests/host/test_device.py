"""The device client against a board of Python that speaks group 64, well and badly."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from smp.header import OP

from tests.host.peer import BUF_SIZE, PythonBoard, tcp_peer
from tests.support.patience import with_patience
from tinyfleet.device import Device, connect, open_device
from tinyfleet.device_reports import Hello
from tinyfleet_codegen.errors import DeviceError, LinkTimeout, ProtocolError, UsageError
from tinyfleet_codegen.wire.ids import Command, DType, SmpGroup
from tinyfleet_codegen.wire.record import Record
from tinyfleet_codegen.wire.seeded import tensor_hash

GROUP = int(SmpGroup.TINYFLEET)
DEVICE_ID = bytes(range(16))
HELLO = {"proto_min": 1, "proto_max": 1, "device_id": DEVICE_ID, "boot_id": 7, "board": "python", "app": "test", "uptime_us": 5}
INPUT_BYTES, OUTPUT_BYTES, LAYERS = 5000, 3000, 300
HASHES_PER_REPLY = 100
MODEL = {
    "model_id": bytes(32),
    "generation": 3,
    "name": "m",
    "arena_bytes": 9000,
    "input_bytes": INPUT_BYTES,
    "output_bytes": OUTPUT_BYTES,
    "input_dtype": 9,
    "output_dtype": 9,
    "layers": LAYERS,
    "channels": 3,
    "window_samples": 10,
    "hop_samples": 5,
}


class FleetBoard(PythonBoard):
    """Group 64 as in docs/spec/wire.md, for a model that reverses its input."""

    def __init__(self) -> None:
        super().__init__()
        self.held = b""
        self.output = b""
        self.stream, self.samples = 0, b""
        self.records = [Record(7, seq, 1, 10 * seq, 5, 6, 3, 1, bytes(20)).encode() for seq in range(5, 105)]
        self.hello: dict[str, Any] = dict(HELLO)
        self.on(OP.READ, Command.HELLO, lambda _: self.hello)
        self.on(OP.READ, Command.MODEL_INFO, lambda _: MODEL)
        self.on(OP.WRITE, Command.INFER, self.infer)
        self.on(OP.READ, Command.INFER, self.read_output)
        self.on(OP.WRITE, Command.SELF_INFER, self.self_infer)
        self.on(OP.READ, Command.RESULTS, self.results)
        self.on(OP.WRITE, Command.REPLAY, self.replay)

    def on(self, op: OP, command: Command, handler: Callable[[dict[str, Any]], dict[str, Any] | None]) -> None:
        self.handlers[op, GROUP, int(command)] = handler

    def infer(self, q: dict[str, Any]) -> dict[str, Any]:
        if q["off"] == 0:
            self.held = b""
        if q["off"] == len(self.held):
            self.held += q["data"]
        if len(self.held) < INPUT_BYTES:
            return {"off": len(self.held)}
        self.output = self.held[::-1][:OUTPUT_BYTES]
        return {"off": len(self.held), "out_bytes": OUTPUT_BYTES}

    def read_output(self, q: dict[str, Any]) -> dict[str, Any]:
        return {"off": q["off"], "data": self.output[q["off"] : q["off"] + 1900], "len": len(self.output)}

    def self_infer(self, q: dict[str, Any]) -> dict[str, Any]:
        if q.get("layers"):
            numbers = range(q["from"], min(LAYERS, q["from"] + HASHES_PER_REPLY))
            return {"hashes": b"".join(tensor_hash(b"%d" % n) for n in numbers), "from": q["from"]}
        cases = range(q["first"], q["first"] + min(q["count"], HASHES_PER_REPLY))
        return {"hashes": b"".join(tensor_hash(b"%d %d" % (q["seed"], case)) for case in cases)}

    def results(self, q: dict[str, Any]) -> dict[str, Any]:
        chosen = [r for seq, r in enumerate(self.records, 5) if seq >= q["since"]][: min(q["max"], 30)]
        first = max(5, q["since"])
        lost = max(0, 5 - q["since"])
        return {"boot_id": 7, "device_id": DEVICE_ID, "next": first + len(chosen), "lost": lost, "records": b"".join(chosen)}

    def replay(self, q: dict[str, Any]) -> dict[str, Any]:
        if q["off"] == 0 and q["stream"] != self.stream:
            self.stream, self.samples = q["stream"], b""
        if q["stream"] == self.stream and q["off"] == len(self.samples) // 6:
            self.samples += q["data"]
        return {"stream": self.stream, "off": len(self.samples) // 6, "seq": 0}


@asynccontextmanager
async def opened(board: PythonBoard, timeout_s: float = 40.0) -> AsyncIterator[Device]:
    async with tcp_peer(board) as (url, _), open_device(url, timeout_s=timeout_s) as device:
        yield device


async def test_hello_and_model_info_are_typed() -> None:
    async with opened(FleetBoard()) as device:
        assert await device.hello() == Hello(**HELLO)
        model = await device.model_info()
        assert (model.input_dtype, model.layers, model.hop_samples) == (DType.INT8, LAYERS, 5)
        assert await device.params() == (BUF_SIZE, 1)


async def test_unknown_reply_keys_are_ignored() -> None:
    board = FleetBoard()
    for key, handler in list(board.handlers.items()):
        board.handlers[key] = lambda q, handler=handler: {**(handler(q) or {}), "from_the_future": [1, {"a": b"b"}]}  # type: ignore[misc]
    async with opened(board) as device:
        assert (await device.hello()).boot_id == 7
        assert await device.echo("x") == "x"
        assert (await device.results(5, 1)).next == 6
        assert len(await device.self_infer(1, 0, 3)) == 3


async def test_infer_moves_tensors_of_any_size() -> None:
    async with opened(FleetBoard()) as device:
        data = np.random.default_rng(1).bytes(INPUT_BYTES)
        assert await device.infer(data) == data[::-1][:OUTPUT_BYTES]
        assert await device.last_output() == data[::-1][:OUTPUT_BYTES]


async def test_infer_with_too_few_bytes_says_so() -> None:
    async with opened(FleetBoard()) as device:
        with pytest.raises(UsageError, match="more than 3 input bytes"):
            await device.infer(b"abc")


async def test_self_infer_collects_all_hashes_in_order() -> None:
    async with opened(FleetBoard()) as device:
        assert await device.self_infer(9, 4, 350) == [tensor_hash(b"9 %d" % case) for case in range(4, 354)]
        assert await device.self_infer_layers(9, 4) == [tensor_hash(b"%d" % n) for n in range(LAYERS)]


class Rememberer(FleetBoard):
    """Its model's outputs depend on all inputs since the reset."""

    def __init__(self) -> None:
        super().__init__()
        self.history: list[int] = []

    def self_infer(self, q: dict[str, Any]) -> dict[str, Any]:
        if q.get("layers"):
            return super().self_infer(q)
        if not q["keep"]:
            self.history.clear()
        hashes = b""
        for case in range(q["first"], q["first"] + q["count"]):
            self.history.append(case)
            hashes += tensor_hash(repr((q["seed"], self.history)).encode())
        return {"hashes": hashes}


@pytest.mark.parametrize("lost", [0, 1, 3, 5])
async def test_seeded_inferences_are_the_same_after_a_loss(lost: int) -> None:
    """The n-th answer gets lost, after the model took in what was asked for."""
    whole = [tensor_hash(repr((9, list(range(4, case + 1)))).encode()) for case in range(4, 100)]

    async def attempt(patience: float) -> None:
        board = Rememberer()
        asked = 0

        def loses_one(q: dict[str, Any]) -> dict[str, Any]:
            nonlocal asked
            board.silent_requests = int(asked == lost)
            asked += 1
            return board.self_infer(q)

        board.on(OP.WRITE, Command.SELF_INFER, loses_one)
        async with opened(board, timeout_s=0.6 * patience) as device:
            assert await device.self_infer(9, 4, 96) == whole
            assert asked > lost
            assert await device.self_infer_layers(9, 4) == [tensor_hash(b"%d" % n) for n in range(LAYERS)]

    await with_patience(attempt)


async def test_a_tensor_is_sent_again_unless_that_were_two_inferences() -> None:
    class Counter(FleetBoard):
        def infer(self, q: dict[str, Any]) -> dict[str, Any]:
            self.inferences = getattr(self, "inferences", 0) + (q["off"] + len(q["data"]) == INPUT_BYTES != len(self.held))
            return super().infer(q)

    data = np.random.default_rng(1).bytes(INPUT_BYTES)

    async def attempt(patience: float) -> None:
        for lost in range(3):
            board = Counter()
            async with opened(board, timeout_s=0.6 * patience) as device:
                step = device._client.payload_bytes
                asked = 0

                def loses_one(q: dict[str, Any], board: Counter = board, lost: int = lost) -> dict[str, Any]:
                    nonlocal asked
                    board.silent_requests = int(asked == lost)
                    asked += 1
                    return board.infer(q)

                board.on(OP.WRITE, Command.INFER, loses_one)
                assert await device.infer(data) == data[::-1][:OUTPUT_BYTES]
                assert (board.inferences, asked) == (1, -(-INPUT_BYTES // step) + 1)
                board.silent_requests = 0
                asked = lost
                with pytest.raises(LinkTimeout):
                    await device.infer(data[:10])
                assert asked == lost + 1, "10 bytes may be all: it is not sent twice"

    await with_patience(attempt)


@pytest.mark.parametrize("wanted", [[64], [64, 65], [64, 500, 70]])
async def test_an_upload_to_a_board_that_never_goes_on_ends(wanted: list[int]) -> None:
    """It answers, so that nothing times out, and was sent the same chunk without end."""
    board = FleetBoard()
    answers = itertools.cycle(wanted)
    board.handlers[OP.WRITE, 1, 1] = lambda _: {"off": next(answers)}
    async with opened(board) as device:
        with pytest.raises(ProtocolError, match="without progress"):
            await device.upload_image(bytes(5000))
    assert len(board.requests) < 100


@pytest.mark.parametrize("how", ["as told", "in silence", "not heard at first"])
async def test_a_restart_is_asked_for_once_a_boot(how: str) -> None:
    """A second one would end a trial of new firmware."""

    async def attempt(patience: float) -> None:
        board = FleetBoard()
        asked: list[int] = []

        def reset(_: dict[str, Any]) -> dict[str, Any] | None:
            asked.append(board.hello["boot_id"])
            if how == "not heard at first" and len(asked) == 1:
                return None
            board.hello = board.hello | {"boot_id": board.hello["boot_id"] + 1}
            return {} if how != "in silence" else None

        board.handlers[OP.WRITE, 0, 5] = reset
        async with opened(board, timeout_s=0.6 * patience) as device:
            assert (await device.restart()).boot_id == 8
        assert asked == ([7] if how != "not heard at first" else [7, 7])

    await with_patience(attempt)


async def test_results_reports_loss_and_where_to_go_on() -> None:
    board = FleetBoard()
    async with opened(board) as device:
        first = await device.results(0, 1000)
        assert (first.lost, first.next, len(first.records), first.boot_id, first.device_id) == (5, 35, 30, 7, DEVICE_ID)
        assert first.records[0] == board.records[0]
        assert (await device.results(105, 10)).records == ()


async def test_replay_survives_a_lost_reply_without_doubling_samples() -> None:
    samples = np.random.default_rng(2).integers(-32768, 32768, (2000, 3)).astype(np.int16)

    async def attempt(patience: float) -> None:
        board = FleetBoard()
        async with opened(board, timeout_s=0.6 * patience) as device:
            await device.replay(4, samples[:1000])
            board.silent_requests = 1
            await device.replay(4, samples[1000:], start=1000)
        assert board.samples == samples.astype("<i2").tobytes()

    await with_patience(attempt)


async def test_replay_of_the_wrong_place_is_an_error() -> None:
    async with opened(FleetBoard()) as device:
        await device.replay(4, np.zeros((10, 3), np.int16))
        with pytest.raises(ProtocolError, match="is at sample 10 of stream 4, expected 30"):
            await device.replay(4, np.zeros((10, 3), np.int16), start=20)
        with pytest.raises(UsageError, match="int16"):
            await device.replay(4, np.zeros((10, 3), np.float32))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        ({"err": {"group": GROUP, "rc": 6}}, "TYF_ERR_NO_IDENTITY"),
        ({"err": {"group": GROUP, "rc": 999, "new": 1}}, "TYF_ERR_999"),
        ({"rc": 8}, "MGMT_ERR_ENOTSUP"),
        ({"rc": 77, "rsn": "?"}, "MGMT_ERR_77"),
    ],
)
async def test_refusal_carries_the_status_name(reply: dict[str, Any], status: str) -> None:
    board = FleetBoard()
    board.on(OP.READ, Command.RESULTS, lambda _: reply)
    async with opened(board) as device:
        with pytest.raises(DeviceError) as refused:
            await device.results(0, 1)
    assert refused.value.status == status


@pytest.mark.parametrize(
    ("command", "reply"),
    [
        (Command.RESULTS, {"boot_id": 7}),
        (Command.RESULTS, {"boot_id": 7, "device_id": DEVICE_ID, "next": 1, "lost": 0, "records": b"\x01\x01\xff\xff"}),
        (Command.INFER, {"off": 1, "data": b"", "len": 5}),
        (Command.INFER, {"off": 0, "data": b"", "len": 5}),
        (Command.STATS, {"header": 1}),
    ],
    ids=["missing key", "cut record", "wrong offset", "no progress", "key of the class"],
)
async def test_senseless_reply_is_a_protocol_error(command: Command, reply: dict[str, Any]) -> None:
    board = FleetBoard()
    board.on(OP.READ, command, lambda _: reply)
    async with opened(board) as device:
        with pytest.raises(ProtocolError):
            await {Command.RESULTS: lambda: device.results(0, 1), Command.INFER: device.last_output, Command.STATS: device.stats}[command]()


async def test_newer_device_is_refused_at_opening() -> None:
    board = FleetBoard()
    board.hello |= {"proto_min": 2, "proto_max": 3}
    with pytest.raises(ProtocolError, match="speaks protocol 2 to 3") as refused:
        async with opened(board):
            pass
    assert refused.value.hint == "update tinyfleet on this host"


async def test_silent_device_is_a_timeout_at_opening() -> None:
    board = FleetBoard()
    board.silent_requests = 100
    with pytest.raises(LinkTimeout, match="Params"):
        async with opened(board, timeout_s=0.3):
            pass


async def test_sync_device_does_the_same() -> None:
    """From another thread, as a program without an event loop would."""
    import asyncio  # noqa: PLC0415

    def use(url: str) -> tuple[int, str, bytes, int]:
        with connect(url) as device:
            device.replay(1, np.zeros((3, 3), np.int16))
            return device.hello().boot_id, device.echo("hi"), device.infer(bytes(INPUT_BYTES)), len(device.self_infer(1, 0, 7))

    async with tcp_peer(FleetBoard()) as (url, _):
        assert await asyncio.to_thread(use, url) == (7, "hi", bytes(OUTPUT_BYTES), 7)
