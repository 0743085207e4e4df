"""What every link does, whatever it is made of. The board on the other end is Python; hil_tests has real firmware."""

from __future__ import annotations

import asyncio
import itertools

import cbor2
import pytest
from smp.header import Header

from tests.host.peer import BUF_SIZE, PythonBoard, open_to
from tests.support.patience import with_patience
from tinyfleet.smp.client import DeviceClient
from tinyfleet.smp.requests import EchoRequest
from tinyfleet_codegen.errors import LinkClosed, LinkTimeout, ProtocolError

BAD_CRC = b"\x06\x09AAAAAAAAAAAAAAAA\n"
LINKS = ("tcp", "serial", "memory", "ble", "shared")
TIMEOUT_S = 40.0
"""Of what is answered."""
MESSAGE_BYTES_BESIDE = Header.SIZE + len(cbor2.dumps({"d": ""})) + 2  # Two more bytes hold the text's length.

pytestmark = pytest.mark.parametrize("kind", LINKS)


async def test_echo_of_every_size_comes_back(kind: str) -> None:
    async with open_to(kind, PythonBoard()) as (link, _):
        client = DeviceClient(link, timeout_s=TIMEOUT_S)
        assert await client.negotiate() == (BUF_SIZE, 1)
        most = link.max_unencoded_size - MESSAGE_BYTES_BESIDE
        for size in (0, 1, 2, 3, 22, 23, 24, 80, 88, 89, 90, 91, 92, 93, 255, 256, 257, 1000, most - 1, most):
            text = "".join(itertools.islice(itertools.cycle("abcdefghij\n"), size))
            assert (await client.ask(EchoRequest(d=text), repeatable=False)).r == text
        assert len(EchoRequest(d="x" * most).BYTES) == link.max_unencoded_size


@pytest.mark.parametrize("piece_bytes", [1, 7, 128])
async def test_reply_in_pieces_is_put_together(kind: str, piece_bytes: int) -> None:
    board = PythonBoard()
    board.piece_bytes = piece_bytes
    async with open_to(kind, board) as (link, _):
        client = DeviceClient(link, timeout_s=TIMEOUT_S)
        assert (await client.ask(EchoRequest(d="piece by piece " * 8), repeatable=False)).r == "piece by piece " * 8


@pytest.mark.parametrize(
    "noise",
    [
        b"boot: hello\n",
        b"\x06\x09",
        b"\x06\x09!!!!\n",
        b"\x06\x09AAA\n",
        b"\x04\x14AAAA\n",
        bytes(range(256)) + b"\n",
        BAD_CRC,
    ],
    ids=["text", "bare start", "no base64", "cut base64", "stray continuation", "all bytes", "bad crc"],
)
async def test_noise_around_replies_is_passed_over(kind: str, noise: bytes) -> None:
    board = PythonBoard()
    board.noise = noise
    async with open_to(kind, board) as (link, _):
        client = DeviceClient(link, timeout_s=TIMEOUT_S)
        for text in ("one", "two"):
            assert (await client.ask(EchoRequest(d=text), repeatable=False)).r == text


async def test_log_lines_inside_a_long_reply_are_passed_over(kind: str) -> None:
    board = PythonBoard()
    board.noise = b"log: a line\r\n"
    async with open_to(kind, board) as (link, _):
        client = DeviceClient(link, timeout_s=TIMEOUT_S)
        assert (await client.ask(EchoRequest(d="z" * 500), repeatable=False)).r == "z" * 500
        assert link.dropped_frames == 0 or kind == "ble"  # where nobody writes text: it is damage


async def test_no_answer_is_a_timeout_and_the_link_lives_on(kind: str) -> None:
    board = PythonBoard()
    board.silent_requests = 1
    board.are_silent_replies_late = True
    async with open_to(kind, board) as (link, _):
        with pytest.raises(LinkTimeout, match="Echo"):
            await DeviceClient(link, timeout_s=0.3).ask(EchoRequest(d="lost"), repeatable=False)
        # The late reply to the first request arrives before that to the second, and must not be taken for it.
        assert (await DeviceClient(link, TIMEOUT_S).ask(EchoRequest(d="heard"), repeatable=False)).r == "heard"


async def test_repeatable_request_survives_one_lost_reply(kind: str) -> None:
    async def attempt(patience: float) -> None:
        board = PythonBoard()
        board.silent_requests = 1
        async with open_to(kind, board) as (link, _):
            client = DeviceClient(link, timeout_s=0.6 * patience)
            assert (await client.ask(EchoRequest(d="again"), repeatable=True)).r == "again"
            assert len(board.requests) == 2

    await with_patience(attempt)


async def test_unrepeatable_request_is_sent_once(kind: str) -> None:
    board = PythonBoard()
    board.silent_requests = 5
    async with open_to(kind, board) as (link, _):
        with pytest.raises(LinkTimeout):
            await DeviceClient(link, timeout_s=0.3).ask(EchoRequest(d="once"), repeatable=False)
        assert len(board.requests) == 1


async def test_board_that_goes_away_closes_the_link(kind: str) -> None:
    board = PythonBoard()
    async with open_to(kind, board) as (link, cut):
        client = DeviceClient(link, timeout_s=TIMEOUT_S)
        await client.negotiate()
        board.silent_requests = 1
        pending = asyncio.create_task(client.ask(EchoRequest(d="mid"), repeatable=True))
        await board.ignored_one.wait()
        if cut is None:
            await link.disconnect()  # A board in this process cannot leave, one in the air comes back; their host can.
            await asyncio.wait([pending])
            with pytest.raises(LinkClosed):
                await client.ask(EchoRequest(d="after"), repeatable=True)
        else:
            cut()
            with pytest.raises(LinkClosed):
                await pending


async def test_reply_that_is_no_map_is_a_protocol_error(kind: str) -> None:
    board = PythonBoard()
    for key in board.handlers:
        board.handlers[key] = lambda _: ["no", "map"]  # type: ignore[assignment,return-value]
    async with open_to(kind, board) as (link, _):
        with pytest.raises(ProtocolError, match="Echo"):
            await DeviceClient(link, timeout_s=TIMEOUT_S).ask(EchoRequest(d="x"), repeatable=False)
