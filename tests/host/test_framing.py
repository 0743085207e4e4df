"""The frame decoder: every cut and any noise."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tinyfleet.link.framing import LINE_BYTES, MAX_LINE_BYTES, FrameDecoder, encode_message

MESSAGES = st.lists(st.binary(min_size=8, max_size=600), min_size=1, max_size=4)


def test_lines_are_as_short_as_servers_expect() -> None:
    assert all(len(line) < LINE_BYTES for line in encode_message(bytes(3000)).split(b"\n"))


@settings(deadline=None, max_examples=100)
@given(messages=MESSAGES, cuts=st.lists(st.integers(1, 200), min_size=1))
def test_any_cut_gives_the_same_messages(messages: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(map(encode_message, messages))
    decoder = FrameDecoder()
    found: list[bytes] = []
    position = 0
    while position < len(stream):
        size = cuts[len(found) % len(cuts)]
        found += decoder.feed(stream[position : position + size])
        position += size
    assert found == messages
    assert decoder.dropped_frames == 0


@settings(deadline=None, max_examples=200)
@given(noise=st.binary(max_size=400), message=st.binary(min_size=8, max_size=300))
def test_no_noise_hides_the_next_message(noise: bytes, message: bytes) -> None:
    decoder = FrameDecoder()
    decoder.feed(noise)
    assert decoder.feed(b"\n" + encode_message(message))[-1:] == [message]


@settings(deadline=None, max_examples=100)
@given(message=st.binary(min_size=8, max_size=300), data=st.data())
def test_flipped_bit_gives_no_wrong_message(message: bytes, data: st.DataObject) -> None:
    stream = bytearray(encode_message(message))
    stream[data.draw(st.integers(0, len(stream) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    assert FrameDecoder().feed(bytes(stream)) in ([], [message])


def test_a_message_grown_by_one_byte_is_refused() -> None:
    # The CRC of a message and the first byte of its CRC is the second byte and a zero, which is what base64 padding hides. The frame's
    # length was not compared, so this gave a message of ten bytes.
    assert encode_message(bytes.fromhex("0a00000100000105a0")) == b"\x06\x09AAsKAAABAAABBaDXFw==\n"
    assert FrameDecoder().feed(b"\x06\x09AAsKAAABAAABBaDXFwD=\n") == []


def test_text_goes_to_who_asked_for_it_and_nothing_else_does() -> None:
    lines: list[bytes] = []
    decoder = FrameDecoder(on_text=lines.append)
    assert decoder.feed(b"one\r\ntw" + b"o\npart " + encode_message(bytes(200)) + b"\n\nthree\n") == [bytes(200)]
    assert lines == [b"one", b"two", b"part ", b"three"]


def test_endless_line_does_not_fill_memory() -> None:
    decoder = FrameDecoder()
    for _ in range(100):
        decoder.feed(b"x" * 1000)
        assert len(decoder._line) <= MAX_LINE_BYTES
    assert decoder.feed(b"\n" + encode_message(bytes(9))) == [bytes(9)]
