"""Ed25519 and SHA-512 against their standards, against another implementation, and against forgeries."""

from __future__ import annotations

import hashlib
import random

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.firmware.program_process import FirmwareProgram
from tinyfleet_codegen.wire.ids import Status

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
SEED = 20

# RFC 8032, section 7.1: public key, message, signature.
RFC_8032 = {
    "test 1": (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    "test 2": (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    "test 3": (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
    "test SHA(abc)": (
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
    ),
}


def verify(program: FirmwareProgram, key: bytes, message: bytes, signature: bytes) -> Status:
    answer = program.ask("E", key + signature + message)
    return Status(int.from_bytes(answer[:1], "little", signed=True))


def test_sha512_equals_hashlib_for_every_length_and_split(program: FirmwareProgram) -> None:
    data = random.Random(SEED).randbytes(500)
    for length in [*range(0, 270, 3), 111, 112, 127, 128, 129, 500]:
        for piece in (1, 63, 128, 500):
            assert program.ask("5", piece.to_bytes(4, "little") + data[:length]) == hashlib.sha512(data[:length]).digest(), (length, piece)


@pytest.mark.parametrize("name", RFC_8032)
def test_ed25519_accepts_the_vectors_of_the_standard(program: FirmwareProgram, name: str) -> None:
    key, message, signature = map(bytes.fromhex, RFC_8032[name])
    assert verify(program, key, message, signature) == Status.OK


def test_ed25519_accepts_signatures_of_another_implementation_and_no_changed_one(program: FirmwareProgram) -> None:
    rng = random.Random(SEED)
    accepted = rejected = 0
    for _ in range(300):
        private = Ed25519PrivateKey.from_private_bytes(rng.randbytes(32))
        key = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        message = rng.randbytes(rng.choice((32, 32, 0, 1, 47, 48, 200)))
        signature = private.sign(message)
        accepted += verify(program, key, message, signature) == Status.OK
        whole = bytearray(key + signature + message)
        bit = rng.randrange(8 * len(whole))
        whole[bit // 8] ^= 1 << bit % 8
        rejected += verify(program, bytes(whole[:32]), bytes(whole[96:]), bytes(whole[32:96])) == Status.ERR_SIGNATURE
    assert (accepted, rejected) == (300, 300)


def test_ed25519_refuses_a_scalar_that_is_not_reduced(program: FirmwareProgram) -> None:
    # S and S + L satisfy the same equation: the second would be another signature of the same message.
    rng = random.Random(SEED)
    for _ in range(20):
        private = Ed25519PrivateKey.from_private_bytes(rng.randbytes(32))
        key, message = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw), rng.randbytes(32)
        signature = private.sign(message)
        larger = int.from_bytes(signature[32:], "little") + L
        assert verify(program, key, message, signature[:32] + larger.to_bytes(32, "little")) == Status.ERR_SIGNATURE


def keys_of_small_order() -> list[bytes]:
    """Every encoding that decodes to a point of order 1, 2, 4 or 8, computed from the curve's equation."""
    d = -121665 * pow(121666, -1, P) % P
    # Order 8 doubles to order 4, where y = 0: there x^2 = y^2 (up to sign), so d y^4 + 2 y^2 - 1 = 0.
    root = pow(1 + d, (P + 3) // 8, P)
    root = root if root * root % P == (1 + d) % P else root * pow(2, (P - 1) // 4, P) % P
    ys = {0, 1, P - 1}
    for square in ((-1 + root) * pow(d, -1, P) % P, (-1 - root) * pow(d, -1, P) % P):
        y = pow(square, (P + 3) // 8, P)
        for candidate in (y, y * pow(2, (P - 1) // 4, P) % P):
            if candidate * candidate % P == square:
                ys |= {candidate, P - candidate}
    encodings = [y + multiple for y in sorted(ys) for multiple in (0, P) if y + multiple < 2**255]
    return [(value | sign << 255).to_bytes(32, "little") for value in encodings for sign in (0, 1)]


def test_ed25519_refuses_blank_keys_and_those_of_small_order(program: FirmwareProgram) -> None:
    small = keys_of_small_order()
    assert len(small) == 14 and bytes(32) in small
    not_canonical = [(P + i).to_bytes(32, "little") for i in range(19)] + [b"\xff" * 32]
    for key in [*small, *not_canonical]:
        status, is_key, _ = program.ask("E", key + bytes(64) + b"anything")
        assert (status, is_key) == (Status.ERR_SIGNATURE & 0xFF, 0), key.hex()
    # What makes them dangerous: without the refusal the equation holds for a signature that nobody made.
    assert all(program.ask("E", key + bytes(64))[2] == 1 for key in small)


def test_ed25519_takes_every_other_key(program: FirmwareProgram) -> None:
    rng = random.Random(SEED)
    for _ in range(200):
        key = Ed25519PrivateKey.from_private_bytes(rng.randbytes(32)).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        assert tuple(program.ask("E", key + bytes(64))[1:]) == (1, 0)
