"""The attack matrix on the image check, families S1 to S7: each case by itself, each family with its count."""

from __future__ import annotations

import random
import secrets
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.firmware.boot_process import MODEL, SLOT_0, SLOT_1, BootProgram, build_boot_program
from tests.support.images import (
    HOST,
    SLOT_ADDRESSES,
    Sketch,
    corpus,
    dependency,
    firmware_body,
    firmware_entries,
    key,
    model_sketch,
    pem,
    public,
)
from tinyfleet.image import read_image, run_imgtool
from tinyfleet_codegen.wire import image as wire
from tinyfleet_codegen.wire.ids import Status
from tinyfleet_codegen.wire.image import ImageTlv

SEED = 7
FUZZ_ROUNDS = 20_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("boot")


@pytest.fixture(scope="module")
def executable(folder: Path) -> Path:
    return build_boot_program(folder)


@pytest.fixture
def boot(executable: Path) -> Iterator[BootProgram]:
    running = BootProgram(executable)
    try:
        yield running
        running.stop()
    finally:
        running.kill()


GOOD = Sketch().build()
SIGNED_BYTES = len(GOOD) - 144
"""Header, body and protected entries; 144 bytes of hash, key hash and signature follow."""


def test_good_images_are_accepted(boot: BootProgram) -> None:
    assert boot.check(GOOD) == Status.OK
    assert boot.check(Sketch(slot=1).build(), SLOT_1) == Status.OK
    assert boot.check(model_sketch().build(), MODEL) == Status.OK
    assert boot.check(GOOD + bytes(500)) == Status.OK, "what is behind an image is none of its"


def test_what_imgtool_signs_is_what_the_tests_sign(boot: BootProgram, tmp_path: Path) -> None:
    body, signed, private = tmp_path / "body", tmp_path / "signed", tmp_path / "key.pem"
    private.write_bytes(pem(key("firmware")))
    body.write_bytes(firmware_body(SLOT_ADDRESSES[0]))
    options = ["--header-size", "512", "--pad-header", "--slot-size", "1000000", "--align", "8", "--version", "1.2.3"]
    options += ["--security-counter", "1", "--vid", "tinyfleet.invalid", "--cid", HOST, "--rom-fixed", str(SLOT_ADDRESSES[0])]
    run_imgtool("sign", *options, "--key", private, body, signed)
    image = signed.read_bytes()
    assert boot.check(image) == Status.OK
    ours, theirs = read_image(GOOD), read_image(image)
    assert theirs == ours and image[:SIGNED_BYTES] == GOOD[:SIGNED_BYTES]


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def refused(boot: BootProgram, images: list[bytes], kind: int = SLOT_0) -> int:
    """How many were refused; all must be."""
    statuses = [boot.check(image, kind) for image in images]
    accepted = [i for i, status in enumerate(statuses) if status == Status.OK]
    assert not accepted, f"{len(accepted)} of {len(images)} accepted, first number {accepted[0]}"
    return len(statuses)


def test_s1_every_bit_of_header_and_entries_counts(boot: BootProgram) -> None:
    entries = 8 * (512 + 3000)
    bits = [*range(256), *range(entries, 8 * len(GOOD))]
    count = refused(boot, [flipped(GOOD, bit) for bit in bits])
    model = model_sketch().build()
    count += refused(boot, [flipped(model, bit) for bit in [*range(256), *range(8 * 2032, 8 * len(model))]], MODEL)
    print(f"S1: {count} cases")
    assert count >= 1408


def test_s2_bits_of_the_body_count(boot: BootProgram) -> None:
    rng = random.Random(SEED)
    count = refused(boot, [flipped(GOOD, rng.randrange(256, 8 * (512 + 3000))) for _ in range(200)])
    assert count == 200


def test_s3_no_truncated_image_is_accepted(boot: BootProgram) -> None:
    ends = {0, 1, 31, 32, 33, 511, 512, 513, 3511, 3512, 3513}
    at = 3512
    while at < len(GOOD):
        head = struct.unpack_from("<HH", GOOD, at)
        at += 4 + (0 if head[0] in (wire.PROTECTED_MAGIC, wire.TLV_MAGIC) else head[1])
        ends |= {at - 1, at, at + 1}
    ends |= set(random.Random(SEED).sample(range(len(GOOD)), 40))
    count = refused(boot, [GOOD[:end] for end in sorted(ends) if end < len(GOOD)])
    assert count >= 60


def test_s4_lengths_that_lie_are_refused(boot: BootProgram) -> None:
    images = []
    for name, width in (("header_bytes", 2), ("protected_bytes", 2), ("body_bytes", 4)):
        most = 2 ** (8 * width) - 1
        images += [Sketch(header={name: value & most}).build() for value in (0, 1, 31, 33, 0x7FFF, 0xFFFF, 2**31, 2**32 - 1, 2**32 - 512)]
    lies = [0, 1, 3, 4, 0x7FFF, 0xFFFF]
    places, at = [], 3512
    while at < len(GOOD):
        kind, count = struct.unpack_from("<HH", GOOD, at)
        places.append(at + 2)
        at += 4 + (0 if kind in (wire.PROTECTED_MAGIC, wire.TLV_MAGIC) else count)
    for place in places:
        true = struct.unpack_from("<H", GOOD, place)[0]
        images += [GOOD[:place] + struct.pack("<H", lie) + GOOD[place + 2 :] for lie in {*lies, true + 1, true - 1} - {true}]
    count = refused(boot, images)
    print(f"S4: {count} cases")
    assert count >= 40


def test_s5_signatures_of_nobody_and_of_others_are_refused(boot: BootProgram) -> None:
    good = Sketch()
    signed = GOOD[:SIGNED_BYTES]
    digest, key_hash, signature = good.signature_entries(signed)
    other = Sketch(signer=key("somebody"))
    forged = (ImageTlv.ED25519, other.signature_entries(signed)[2][1])
    cases = {
        "unsigned": [digest, key_hash],
        "no hash": [key_hash, signature],
        "no key hash": [digest, signature],
        "another key": other.signature_entries(signed),
        "another key under our key's name": [digest, key_hash, forged],
        "our signature under another key's name": [digest, other.signature_entries(signed)[1], signature],
        "the model's key": Sketch(signer=key("model")).signature_entries(signed),
        "two signatures": [digest, key_hash, forged, signature],
        "two signatures, ours first": [digest, key_hash, signature, forged],
        "two hashes": [digest, (ImageTlv.SHA256, bytes(32)), key_hash, signature],
        "two key hashes": [digest, key_hash, key_hash, signature],
        "a signature of zeros": [digest, key_hash, (ImageTlv.ED25519, bytes(64))],
        "a signature of another image": [digest, key_hash, (ImageTlv.ED25519, good.signer.sign(bytes(32)))],
        "a pure signature": [digest, key_hash, (ImageTlv.ED25519, good.signer.sign(signed))],
        "an entry that is not known": [digest, key_hash, signature, (0xB7, b"x")],
    }
    for name, others in cases.items():
        assert boot.check(Sketch(others=others).build()) != Status.OK, name
    with_scalar = bytearray(signature[1])
    scalar = int.from_bytes(with_scalar[32:], "little") + 2**252 + 27742317777372353535851937790883648493
    with_scalar[32:] = scalar.to_bytes(32, "little")
    assert boot.check(Sketch(others=[digest, key_hash, (ImageTlv.ED25519, bytes(with_scalar))]).build()) == Status.ERR_SIGNATURE


@pytest.mark.parametrize("blank", [bytes(32), b"\xff" * 32, b"\x01".ljust(32, b"\0")], ids=["zeros", "ones", "neutral"])
def test_s5_a_blank_key_trusts_nobody(boot: BootProgram, blank: bytes) -> None:
    """A key store that reads as zeros names a point of order 4: a signature of zeros would be good for any image."""
    for counter in range(8):
        sketch = Sketch(named_key=blank, protected=firmware_entries(counter))
        digest, key_hash, _ = sketch.signature_entries(sketch.build()[:SIGNED_BYTES])
        for signature in (bytes(64), b"\x01" + bytes(63)):
            sketch.others = [digest, key_hash, (ImageTlv.ED25519, signature)]
            assert boot.check_with_key(sketch.build(), blank) == Status.ERR_SIGNATURE
    assert boot.check_with_key(GOOD, blank) == Status.ERR_SIGNATURE
    assert boot.check_with_key(GOOD, public(key("firmware"))) == Status.OK


def test_s6_nothing_older_than_what_was_confirmed_is_accepted(boot: BootProgram) -> None:
    def counter(value: int) -> bytes:
        return Sketch(protected=firmware_entries(value)).build()

    assert boot.check(counter(5), least_counter=5) == Status.OK
    assert boot.check(counter(6), least_counter=5) == Status.OK
    assert boot.check(counter(4), least_counter=5) == Status.ERR_ROLLBACK
    assert boot.check(counter(2**31 - 1), least_counter=2**31) == Status.ERR_ROLLBACK
    entries = firmware_entries()
    del entries[ImageTlv.SECURITY_COUNTER]
    missing = Sketch(protected=entries)
    assert boot.check(missing.build()) == Status.ERR_ROLLBACK
    # The counter where it is not signed: an attacker writes any number there.
    signed = missing.build()[: SIGNED_BYTES - 8]
    unprotected = [*missing.signature_entries(signed), (int(ImageTlv.SECURITY_COUNTER), (9).to_bytes(4, "little"))]
    missing.others = unprotected
    assert boot.check(missing.build()) == Status.ERR_FORMAT
    twice = [*firmware_entries(9).items(), (int(ImageTlv.SECURITY_COUNTER), bytes(4))]
    assert boot.check(Sketch(protected=twice).build()) == Status.ERR_FORMAT
    # A lower version may be installed on purpose; the counter alone says what is too old.
    assert boot.check(Sketch(version=(0, 0, 1, 0)).build()) == Status.OK


def test_s7_what_is_for_something_else_is_refused(boot: BootProgram) -> None:
    other = {"VENDOR": bytes(16), "CLASS": bytes(16)}
    for name, value in other.items():
        assert boot.check(Sketch(protected=firmware_entries(**{name: value})).build()) == Status.ERR_TARGET
        entries = firmware_entries()
        del entries[ImageTlv[name]]
        assert boot.check(Sketch(protected=entries).build()) == Status.ERR_TARGET, f"no {name}"
    assert boot.check(GOOD, SLOT_1) == Status.ERR_TARGET, "linked for the other slot"
    assert boot.check(Sketch(flags=0).build()) == Status.ERR_TARGET, "linked for any place"
    for flag in (0x04, 0x08, 0x20, 0x10, 0x200):
        assert boot.check(Sketch(flags=wire.FLAG_ROM_FIXED | flag).build()) == Status.ERR_TARGET
    assert boot.check(Sketch(header_bytes=0x400).build()) == Status.ERR_TARGET
    outside = firmware_body(SLOT_ADDRESSES[0] + 0x10000)
    assert boot.check(Sketch(body=outside).build()) == Status.ERR_TARGET, "starts outside of itself"
    assert boot.check(Sketch(body=b"1234567").build()) == Status.ERR_TARGET
    # Firmware and models: neither is taken for the other, whoever signed it.
    assert boot.check(model_sketch().build(), SLOT_0) == Status.ERR_TARGET
    assert boot.check(model_sketch(signer=key("firmware")).build(), SLOT_0) == Status.ERR_TARGET
    assert boot.check(GOOD, MODEL) == Status.ERR_TARGET
    assert boot.check(Sketch(signer=key("model")).build(), MODEL) == Status.ERR_TARGET
    assert boot.check(Sketch(signer=key("model")).build(), SLOT_0) == Status.ERR_SIGNATURE
    assert boot.check(model_sketch(signer=key("firmware")).build(), MODEL) == Status.ERR_SIGNATURE


def test_s7_a_dependency_is_met_by_the_firmware_that_runs(boot: BootProgram) -> None:
    def depends(image_id: int, version: tuple[int, int, int, int]) -> bytes:
        sketch = model_sketch()
        assert isinstance(sketch.protected, dict)
        return model_sketch(protected=sketch.protected | {int(ImageTlv.DEPENDENCY): dependency(image_id, version)}).build()

    assert boot.check(depends(0, (1, 5, 0, 0)), MODEL) == Status.OK
    assert boot.check(depends(0, (1, 4, 99, 7)), MODEL) == Status.OK
    assert boot.check(depends(0, (1, 5, 0, 1)), MODEL) == Status.ERR_TARGET
    assert boot.check(depends(0, (2, 0, 0, 0)), MODEL) == Status.ERR_TARGET
    assert boot.check(depends(1, (0, 0, 0, 0)), MODEL) == Status.ERR_TARGET
    assert boot.check(depends(0, (0, 0, 0, 0)), MODEL, is_firmware_running=False) == Status.ERR_TARGET


def test_the_first_chunk_tells_what_is_wrong(boot: BootProgram) -> None:
    assert boot.check_header(GOOD[:31]) == Status.OK, "too early to know"
    assert boot.check_header(GOOD[:32]) == Status.OK
    assert boot.check_header(GOOD[:100], SLOT_1) == Status.ERR_TARGET
    assert boot.check_header(GOOD[:100], MODEL) == Status.ERR_TARGET
    assert boot.check_header(model_sketch().build()[:64]) == Status.ERR_TARGET
    assert boot.check_header(b"\x7fELF" + bytes(60)) == Status.ERR_FORMAT
    assert boot.check_header(Sketch(header={"body_bytes": 2**32 - 1}).build()[:64]) == Status.ERR_FORMAT
    assert boot.check_header(Sketch(header={"body_bytes": 2**20 - 4096}).build()[:64]) == Status.ERR_FORMAT


def test_versions_read_as_smp_clients_show_them(boot: BootProgram) -> None:
    assert boot.version_text((1, 2, 3, 0)) == "1.2.3"
    assert boot.version_text((255, 255, 65535, 2**32 - 1)) == "255.255.65535.4294967295"
    assert boot.version_text((0, 0, 0, 10)) == "0.0.0.10"


@pytest.mark.parametrize("seed", [1, None], ids=["fixed", "fresh"])
@pytest.mark.parametrize("kind", [SLOT_0, MODEL], ids=["firmware", "model"])
def test_damaged_images_are_refused_and_never_read_beyond(boot: BootProgram, kind: int, seed: int | None) -> None:
    seed = secrets.randbelow(2**31) if seed is None else seed
    print(f"seed {seed}")
    accepted, malformed = boot.fuzz(corpus(kind), kind, seed, FUZZ_ROUNDS)
    assert FUZZ_ROUNDS // 10 < malformed < FUZZ_ROUNDS * 9 // 10, "damage should reach what is behind the structure"
    assert accepted < FUZZ_ROUNDS // 2
