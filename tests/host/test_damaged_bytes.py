"""What the host reads from boards, damaged by the ten thousand: only the errors that it says, and never another value in silence."""

from __future__ import annotations

import contextlib
import secrets

import numpy as np

from tests.firmware.program_process import nvm_image
from tests.support.damage import damage_bytes
from tests.support.firmware_fuzz import MESSAGES, nvm_images
from tinyfleet.link.framing import FrameDecoder, encode_message
from tinyfleet_codegen.errors import ProtocolError
from tinyfleet_codegen.wire.nvm import read_boot_id, read_identity
from tinyfleet_codegen.wire.record import Record, decode_record, split_records

ROUNDS = 20_000


def damage_rng() -> np.random.Generator:
    seed = secrets.randbelow(2**31)
    print(f"seed {seed}")
    return np.random.default_rng(seed)


def test_damaged_records_are_refused_or_are_records() -> None:
    rng = damage_rng()
    records = [Record(7, seq, 1, 3 * seq, 900, 10**6 + seq, 1, 2, bytes(range(seq * 5))).encode() for seq in range(6)]
    batch = b"".join(records)
    for _ in range(ROUNDS):
        data = damage_bytes(batch, records[2], rng)
        with contextlib.suppress(ProtocolError):
            pieces = split_records(data)
            assert b"".join(pieces) == data
            assert all(decode_record(piece).seq >= 0 for piece in pieces)


def test_damaged_frames_never_give_another_message() -> None:
    rng = damage_rng()
    decoder, forged = FrameDecoder(), 0
    for round_number in range(ROUNDS):
        message = MESSAGES[round_number % len(MESSAGES)]
        frame = encode_message(message)
        forged += any(received != message for received in decoder.feed(damage_bytes(frame, frame, rng)))
        decoder.feed(b"\n")
        assert decoder.feed(frame) == [message]
    # The CRC lets one damaged frame in 65536 through.
    assert forged <= 5


def test_damaged_memory_has_its_identity_or_none() -> None:
    rng = damage_rng()
    identity = read_identity(nvm_image())
    assert identity is not None
    for _ in range(ROUNDS):
        data = damage_bytes(nvm_images()[1], nvm_images()[0], rng)
        assert read_identity(data) in (None, identity)
        assert read_boot_id(data) in (0, 7, 8)
