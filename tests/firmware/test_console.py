"""Console framing: what is answered, what is dropped, and that one bad frame never costs the next good one."""

from __future__ import annotations

import base64
import random
import struct

import cbor2
import pytest

from tests.firmware.program_process import GROUP_OS, GROUP_TINYFLEET, READ, WRITE, FirmwareProgram, message
from tinyfleet.link.framing import FrameDecoder, encode_message

FRAME_BYTES = 1024
"""Default of TYF_CFG_SMP_FRAME_BYTES."""


def echo(text: str, sequence: int = 1) -> bytes:
    """An echo request."""
    return message(WRITE, GROUP_OS, 0, {"d": text}, sequence=sequence)


def answers(board: FirmwareProgram, data: bytes) -> list[tuple[int, object]]:
    """Feed text; sequence and map of each answer."""
    return [(reply[6], cbor2.loads(reply[8:])) for reply in FrameDecoder().feed(board.ask("F", data))]


def test_echo_of_every_length_up_to_the_largest_frame_comes_back(board: FirmwareProgram) -> None:
    largest = FRAME_BYTES - 4 - 8 - 6
    for length in [*range(0, 300), 510, 511, 512, largest - 1, largest]:
        assert answers(board, encode_message(echo("x" * length))) == [(1, {"r": "x" * length})]


def test_frame_that_is_too_large_is_dropped(board: FirmwareProgram) -> None:
    assert answers(board, encode_message(echo("x" * (FRAME_BYTES - 4 - 8 - 6 + 1)))) == []
    assert answers(board, encode_message(echo("small"))) == [(1, {"r": "small"})]
    assert board.command(READ, GROUP_TINYFLEET, 6, {})["bad_frames"] == 1


def test_lines_are_at_most_127_bytes(board: FirmwareProgram) -> None:
    lines = board.ask("F", encode_message(echo("y" * 900))).split(b"\n")
    assert max(len(line) for line in lines) == 126
    assert lines[0].startswith(b"\x06\x09") and all(line.startswith(b"\x04\x14") for line in lines[1:-1])


def test_text_around_and_between_the_lines_of_a_frame_is_ignored(board: FirmwareProgram) -> None:
    lines = encode_message(echo("z" * 300)).splitlines(keepends=True)
    assert len(lines) > 2
    noise = b"log: model ready, 100 % \x00\xff\x06 \x04 AAAA=\r\n"
    assert answers(board, noise + b"no newline" + noise.join(lines) + noise) == [(1, {"r": "z" * 300})]
    assert board.command(READ, GROUP_TINYFLEET, 6, {})["bad_frames"] == 0


def test_bytes_may_arrive_one_by_one_with_carriage_returns(board: FirmwareProgram) -> None:
    text = encode_message(echo("abc" * 60)).replace(b"\n", b"\r\n")
    sent = b"".join(board.ask("F", text[i : i + 1]) for i in range(len(text)))
    assert [cbor2.loads(reply[8:]) for reply in FrameDecoder().feed(sent)] == [{"r": "abc" * 60}]


def test_continuation_without_start_is_ignored(board: FirmwareProgram) -> None:
    first, *rest = encode_message(echo("z" * 300)).splitlines(keepends=True)
    assert answers(board, b"".join(rest)) == []
    assert answers(board, first + encode_message(echo("ok"))) == [(1, {"r": "ok"})]


@pytest.mark.parametrize("size", [2, 60, 200])
def test_frame_with_any_single_bit_flipped_is_not_answered_and_the_next_is(board: FirmwareProgram, size: int) -> None:
    """All bits of the frame, its start and its line ends. A flipped line end or start of a frame must not swallow the next frame."""
    text = encode_message(echo("q" * size))
    for position in range(len(text) * 8):
        damaged = bytearray(text)
        damaged[position // 8] ^= 1 << position % 8
        got = answers(board, bytes(damaged) + encode_message(echo("good", sequence=2)))
        assert got == [(2, {"r": "good"})], (position, got)


def test_length_and_padding_that_lie_are_dropped(board: FirmwareProgram) -> None:
    good = encode_message(echo("next", sequence=2))
    body = struct.pack(">H", 0xFFFF) + bytes(60)
    for bad in (
        encode_raw(b""),
        encode_raw(b"\x00"),
        encode_raw(b"\x00\x00"),
        encode_raw(b"\x00\x02\x00\x00"),
        encode_raw(body),
        b"\x06\x09====\n",
        b"\x06\x09A===\n",
        b"\x06\x09AA=A\n",
        b"\x06\x09AA==AAAA\n",
        b"\x06\x09AAB=\n",
        b"\x06\x09AAA\n",
        b"\x06\x09AA\xc0A\n",
        b"\x06\x09" + b"A" * 4000 + b"\n",
    ):
        assert answers(board, bad + good) == [(2, {"r": "next"})], bad


def encode_raw(frame: bytes) -> bytes:
    """One line with exactly these bytes as frame."""
    return b"\x06\x09" + base64.b64encode(frame) + b"\n"


def test_random_lines_never_stop_the_board(board: FirmwareProgram) -> None:
    source = random.Random(5)
    for _ in range(200):
        junk = bytes(source.choice(b"\x06\x09\x04\x14AZaz09+/=\n\r \xff") for _ in range(source.randrange(1, 200)))
        assert answers(board, junk + b"\n" + encode_message(echo("here", sequence=9)))[-1] == (9, {"r": "here"})
