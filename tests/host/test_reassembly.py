"""Messages without framing from pieces of any size, and what damage does."""

from __future__ import annotations

import random

import pytest

from tinyfleet.link.reassembly import Reassembly
from tinyfleet_codegen.wire.ble import MESSAGE_GAP_S

SEED = 20261126


def message(size: int, sequence: int = 0) -> bytes:
    return bytes([0x0B, 0]) + size.to_bytes(2, "big") + bytes([0, 64, sequence, 3]) + bytes(i % 251 for i in range(size))


@pytest.mark.parametrize("piece_bytes", [1, 7, 20, 244, 5000])
def test_pieces_of_every_size_give_the_messages_back(piece_bytes: int) -> None:
    messages = [message(size, size % 256) for size in (0, 1, 11, 12, 13, 236, 237, 1000, 4000)]
    stream = b"".join(messages)
    pieces = [stream[start : start + piece_bytes] for start in range(0, len(stream), piece_bytes)]
    reassembly = Reassembly()
    assert [whole for piece in pieces for whole in reassembly.feed(piece, 1.0)] == messages
    assert reassembly.dropped_frames == 0


def test_a_message_that_lost_a_piece_is_given_up_after_the_gap() -> None:
    reassembly = Reassembly()
    assert reassembly.feed(message(300)[:200], 10.0) == []
    assert reassembly.feed(message(5, 1), 10.0 + MESSAGE_GAP_S + 0.01) == [message(5, 1)]
    assert reassembly.dropped_frames == 1


def test_a_slow_message_is_not_given_up_while_its_pieces_come() -> None:
    reassembly, whole = Reassembly(), message(30)
    got = [found for i in range(len(whole)) for found in reassembly.feed(whole[i : i + 1], 0.9 * MESSAGE_GAP_S * i)]
    assert got == [whole]


@pytest.mark.parametrize("junk", [b"\x00", b"\x06\x09", b"log: text\r\n", b"\xff" * 244, message(300)[100:200]])
def test_what_is_no_header_is_passed_over(junk: bytes) -> None:
    reassembly = Reassembly()
    got = reassembly.feed(junk, 1.0) + reassembly.feed(message(3), 1.0)
    assert got == [message(3)]
    assert reassembly.dropped_frames == 1


def test_random_losses_never_raise_and_what_follows_a_pause_is_found() -> None:
    chance = random.Random(SEED)
    reassembly, now_s = Reassembly(), 0.0
    for number in range(500):
        whole = message(chance.randrange(600), number % 256)
        for start in range(0, len(whole), 100):
            if chance.random() > 0.1:
                reassembly.feed(whole[start : start + 100], now_s)
        now_s += 2 * MESSAGE_GAP_S
        assert reassembly.feed(message(9, 1), now_s) == [message(9, 1)], f"seed {SEED}, message {number}"
        now_s += 2 * MESSAGE_GAP_S
