"""SMP group 1 on the host board: uploads that go on, repeat and lie; states that are asked for and refused (attack family S8)."""

from __future__ import annotations

import hashlib
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.firmware import program_process
from tests.firmware.program_process import READ, WRITE, FirmwareProgram, nvm_image
from tests.support.signed_images import PAGE_BYTES, SLOT_ADDRESSES, SLOT_BYTES, factory_nvm, image_digest, make_image
from tinyfleet_codegen.firmware_tree import firmware_dir
from tinyfleet_codegen.wire.ids import ImageError
from tinyfleet_codegen.wire.image import FIRMWARE_HEADER_BYTES, TRAILER_MAGIC

GROUP = 1
STATE, UPLOAD, ERASE, SLOTS = 0, 1, 5, 6
A, B = make_image(0, (1, 0, 0, 0)), make_image(1, (2, 0, 0, 0), random.Random(5).randbytes(9001))
CAPACITY = SLOT_BYTES - PAGE_BYTES


def refused(code: ImageError) -> dict[str, dict[str, int]]:
    return {"err": {"group": GROUP, "rc": int(code)}}


class Board:
    """The host board with image A in slot 0, confirmed and running."""

    def __init__(self, program: FirmwareProgram) -> None:
        self.program = program
        program.power_on(factory_nvm(nvm_image(), A))
        program.run_image(SLOT_ADDRESSES[0] + FIRMWARE_HEADER_BYTES)

    def write(self, command: int, request: dict[str, Any]) -> dict[str, Any]:
        return self.program.command(WRITE, GROUP, command, request)

    def images(self) -> list[dict[str, Any]]:
        images = self.program.command(READ, GROUP, STATE, {})["images"]
        assert isinstance(images, list)
        return images

    def chunk(self, file: bytes, off: int, count: int, **more: Any) -> dict[str, Any]:
        first = {"len": len(file), "sha": hashlib.sha256(file).digest()} if off == 0 else {}
        return self.write(UPLOAD, {"off": off, "data": file[off : off + count], **first, **more})

    def upload(self, image: bytes, *, step: int = 700, start: int = 0) -> dict[str, Any]:
        reply: dict[str, Any] = {"off": start}
        while (off := reply.get("off", len(image))) < len(image):
            reply = self.chunk(image, off, step)
            if "off" in reply:
                assert reply["off"] == min(off + step, len(image))
        return reply

    def slot(self, number: int) -> bytes:
        return self.program.nvm()[SLOT_ADDRESSES[number] : SLOT_ADDRESSES[number] + SLOT_BYTES]


@pytest.fixture
def board(program: FirmwareProgram) -> Iterator[Board]:
    yield Board(program)
    program.run_image(0)


def test_state_and_slots_are_told(board: Board) -> None:
    (only,) = board.images()
    assert only == {
        **{"image": 0, "slot": 0, "version": "1.0.0", "hash": image_digest(A), "bootable": True},
        **{"pending": False, "confirmed": True, "active": True, "permanent": False},
    }
    (sizes,) = board.program.command(READ, GROUP, SLOTS, {})["images"]
    assert sizes == {
        "image": 0,
        "slots": [{"slot": 0, "size": SLOT_BYTES}, {"slot": 1, "size": SLOT_BYTES, "upload_image_id": 1}],
        "max_image_size": CAPACITY,
    }
    assert board.program.command(READ, 0, 8, {}) == {"bootloader": "MCUboot"}
    assert board.program.command(READ, 0, 8, {"query": "mode"}) == {"mode": 5}
    assert board.program.command(READ, 0, 8, {"query": "other"}) == {"err": {"group": 0, "rc": 3}}


@pytest.mark.parametrize("step", [1, 7, 8, 63, 700, 900])
def test_upload_in_pieces_of_any_size_is_the_file(board: Board, step: int) -> None:
    image = make_image(1, (2, 0, 0, 0), random.Random(step).randbytes(500 if step < 8 else 9001))
    first = max(step, 32)
    assert board.chunk(image, 0, first) == {"off": first}
    assert board.upload(image, step=step, start=first) == {"off": len(image), "match": True}
    stored = board.slot(1)
    assert stored[: len(image)] == image
    assert set(stored[len(image) : (len(image) + PAGE_BYTES - 1) // PAGE_BYTES * PAGE_BYTES]) <= {0xFF}
    assert [entry["hash"] for entry in board.images()] == [image_digest(A), image_digest(image)]


def test_test_mark_is_pending_and_only_then(board: Board) -> None:
    board.upload(B)
    assert not board.images()[1]["pending"] and TRAILER_MAGIC not in board.slot(1)
    images = board.write(STATE, {"hash": image_digest(B)})["images"]
    assert images[1]["pending"] and not images[1]["confirmed"] and board.slot(1).endswith(TRAILER_MAGIC)
    assert board.write(STATE, {"hash": image_digest(B), "confirm": False})["images"] == images  # again changes nothing


def test_upload_that_broke_off_goes_on(board: Board) -> None:
    assert board.chunk(B, 0, 700) == {"off": 700}
    assert board.chunk(B, 700, 333) == {"off": 1033}
    assert board.chunk(B, 0, 700) == {"off": 1033}  # a client that starts over is told where it was
    assert board.upload(B, start=1033)["match"] is True
    assert board.slot(1)[: len(B)] == B


def test_chunk_that_is_repeated_or_elsewhere_changes_nothing(board: Board) -> None:
    board.chunk(B, 0, 800)
    before = board.slot(1)
    for off in (1, 100, 799, 801, 5000, len(B), 2**31, 2**32 - 1):
        assert board.write(UPLOAD, {"off": off, "data": b"x" * 50}) == {"off": 800}
    assert board.slot(1) == before
    assert board.upload(B, start=800)["match"] is True
    assert board.chunk(B, len(B) - 50, 50) == {"off": len(B), "match": True}  # the reply to the last one was lost
    assert board.slot(1)[: len(B)] == B


def test_file_that_is_there_is_done_at_once_even_after_a_restart(board: Board) -> None:
    board.upload(B)
    assert board.chunk(B, 0, 700) == {"off": len(B), "match": True}
    board.write(STATE, {"hash": image_digest(B)})
    assert board.chunk(B, 0, 700) == {"off": len(B), "match": True}
    board.program.power_on(board.program.nvm())
    board.program.run_image(SLOT_ADDRESSES[0] + FIRMWARE_HEADER_BYTES)
    assert board.chunk(B, 0, 700) == {"off": len(B), "match": True}
    assert board.images()[1]["pending"]


def test_replayed_session_of_another_file_starts_that_one(board: Board) -> None:
    other = make_image(1, (3, 0, 0, 0), bytes(4000))
    board.chunk(B, 0, 700)
    board.chunk(B, 700, 700)
    assert board.chunk(other, 0, 700) == {"off": 700}
    assert board.chunk(B, 1400, 700) == {"off": 700}  # the first session is over
    assert board.upload(other, start=700)["match"] is True
    assert board.slot(1)[: len(other)] == other


def test_other_file_of_the_same_size_starts_anew(board: Board) -> None:
    other = make_image(1, (3, 0, 0, 0), bytes(9001))
    assert len(other) == len(B)
    board.chunk(B, 0, 700)
    assert board.chunk(B, 700, 700) == {"off": 1400}
    assert board.chunk(other, 0, 700) == {"off": 700}
    assert board.upload(other, start=700)["match"] is True
    assert board.slot(1)[: len(other)] == other


def test_other_hash_mid_session_is_noticed_at_the_end(board: Board) -> None:
    for changed in (B[:700] + bytes(1) + B[701:], B[:-1] + bytes([B[-1] ^ 1])):
        request = {"off": 0, "data": changed[:700], "len": len(B), "sha": hashlib.sha256(B).digest()}
        assert board.write(UPLOAD, request) == {"off": 700}
        off = 700
        while off + 800 < len(B):
            assert board.chunk(changed, off, 800) == {"off": off + 800}
            off += 800
        assert board.chunk(changed, off, 800) == refused(ImageError.INVALID_HASH)
        assert board.chunk(changed, off, 800) == {"off": 0}
    assert board.write(STATE, {"hash": image_digest(B)}).get("err", {}).get("rc") in (
        ImageError.IMAGE_CONFIRMATION_DENIED,
        ImageError.INVALID_HASH,
    )
    assert TRAILER_MAGIC not in board.slot(1)


def test_overlong_data_is_refused_and_the_upload_goes_on(board: Board) -> None:
    assert board.write(UPLOAD, {"off": 0, "data": B[:800], "len": 799}) == refused(ImageError.INVALID_IMAGE_DATA_OVERRUN)
    board.chunk(B, 0, 800)
    board.upload(B[: len(B) - 10], start=800)
    assert board.write(UPLOAD, {"off": len(B) - 10, "data": bytes(11)}) == refused(ImageError.INVALID_IMAGE_DATA_OVERRUN)
    assert board.chunk(B, len(B) - 10, 10) == {"off": len(B), "match": True}


def test_first_chunk_tells_what_cannot_become_an_image(board: Board) -> None:
    before = board.program.nvm()
    cases: list[tuple[dict[str, Any], ImageError]] = [
        ({"off": 0, "data": A[:700], "len": len(A)}, ImageError.INVALID_FLASH_ADDRESS),  # linked for the slot that runs
        ({"off": 0, "data": B[:31], "len": len(B)}, ImageError.INVALID_IMAGE_HEADER),
        ({"off": 0, "data": b"", "len": len(B)}, ImageError.INVALID_IMAGE_HEADER),
        ({"off": 0, "data": bytes(700), "len": len(B)}, ImageError.INVALID_IMAGE_HEADER_MAGIC),
        ({"off": 0, "data": B[:700]}, ImageError.INVALID_LENGTH),
        ({"off": 0, "data": B[:700], "len": 0}, ImageError.INVALID_LENGTH),
        ({"off": 0, "data": B[:700], "len": CAPACITY + 1}, ImageError.INVALID_IMAGE_TOO_LARGE),
        ({"off": 0, "data": B[:700], "len": 2**32 - 1}, ImageError.INVALID_IMAGE_TOO_LARGE),
        ({"off": 0, "data": B[:700], "len": len(B), "image": 2}, ImageError.INVALID_SLOT),
        ({"off": 0, "data": make_image(1)[:700], "len": 3000, "upgrade": True}, ImageError.CURRENT_VERSION_IS_NEWER),
    ]
    for request, code in cases:
        assert board.write(UPLOAD, request) == refused(code), (request.keys(), code)
    assert board.program.nvm() == before
    for request in ({"off": 0}, {"data": b""}, {"off": 0, "data": "text"}, {"off": 0, "data": B[:700], "sha": bytes(31)}):
        assert board.write(UPLOAD, request) == {"rc": 3}
    for image in (0, 1):
        assert board.chunk(B, 0, 700, image=image, upgrade=True) == {"off": 700}
        board.write(ERASE, {})


def test_upload_while_another_image_waits_for_its_test_is_refused(board: Board) -> None:
    board.upload(B)
    board.write(STATE, {"hash": image_digest(B)})
    before = board.program.nvm()
    other = make_image(1, (3, 0, 0, 0))
    assert board.chunk(other, 0, 700) == refused(ImageError.IMAGE_ALREADY_PENDING)
    assert board.program.nvm() == before
    assert board.write(ERASE, {}) == {}
    assert len(board.images()) == 1
    assert board.upload(other)["match"] is True


def test_nothing_is_written_while_what_runs_is_on_trial(board: Board) -> None:
    board.upload(B)
    board.write(STATE, {"hash": image_digest(B)})
    board.program.power_on(board.program.nvm())
    board.program.run_image(SLOT_ADDRESSES[1] + FIRMWARE_HEADER_BYTES)
    before = board.program.nvm()
    other = make_image(0, (3, 0, 0, 0))
    assert board.chunk(other, 0, 700) == refused(ImageError.IMAGE_ALREADY_PENDING)
    assert board.write(ERASE, {}) == refused(ImageError.IMAGE_ALREADY_PENDING)
    assert board.write(STATE, {"hash": image_digest(A)}) == refused(ImageError.IMAGE_ALREADY_PENDING)
    assert board.program.nvm() == before
    assert board.write(STATE, {"confirm": True})["images"][1]["confirmed"]
    assert board.upload(other)["match"] is True


@pytest.mark.parametrize("digest", [bytes(32), b"", bytes(31), bytes(33), bytes(64), image_digest(B)[:-1] + b"\0"], ids=len)
def test_unknown_hash_is_refused(board: Board, digest: bytes) -> None:
    board.upload(B)
    before = board.program.nvm()
    for confirm in (False, True):
        reply = board.write(STATE, {"hash": digest, "confirm": confirm})
        assert reply == (refused(ImageError.INVALID_HASH) if digest else {"rc": 3})
    assert board.program.nvm() == before


def test_states_that_make_no_sense_are_refused(board: Board) -> None:
    board.upload(B)
    before = board.program.nvm()
    assert board.write(STATE, {}) == {"rc": 3}
    assert board.write(STATE, {"hash": image_digest(A)}) == refused(ImageError.IMAGE_SETTING_TEST_TO_ACTIVE_DENIED)
    assert board.write(STATE, {"hash": image_digest(B), "confirm": True}) == refused(ImageError.IMAGE_CONFIRMATION_DENIED)
    for slot in (0, 2, 2**32 - 2):
        assert board.write(ERASE, {"slot": slot}) == refused(ImageError.INVALID_SLOT)
    assert board.program.nvm() == before
    assert board.write(STATE, {"hash": image_digest(A), "confirm": True})["images"][0]["confirmed"]


def test_images_that_nobody_vouches_for_are_not_tested(board: Board) -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415

    stranger = make_image(1, (2, 0, 0, 0), key=Ed25519PrivateKey.generate())
    foreign = make_image(1, (2, 0, 0, 0), class_id=bytes(16))
    for image, code in ((stranger, ImageError.IMAGE_CONFIRMATION_DENIED), (foreign, ImageError.INVALID_TLV)):
        assert board.upload(image)["match"] is True
        assert board.write(STATE, {"hash": image_digest(image)}) == refused(code)
        assert TRAILER_MAGIC not in board.slot(1)


def test_program_in_no_slot_takes_no_images(board: Board) -> None:
    board.program.run_image(0)
    before = board.program.nvm()
    assert board.chunk(B, 0, 700) == refused(ImageError.NO_FREE_SLOT)
    assert board.write(ERASE, {}) == refused(ImageError.NO_FREE_SLOT)
    assert board.write(STATE, {"confirm": True}) == refused(ImageError.INVALID_HASH)
    assert board.program.command(READ, 0, 8, {}) == {"err": {"group": 0, "rc": 3}}
    assert board.program.nvm() == before
    assert not any(entry["active"] for entry in board.images())


@pytest.mark.parametrize("seed", range(4))
def test_any_order_of_chunks_never_touches_what_runs_and_ends_well(board: Board, seed: int) -> None:
    print(f"seed {seed}")
    chance = random.Random(seed)
    files = [B, make_image(1, (3, 0, 0, 0), chance.randbytes(5000)), A, chance.randbytes(3000)]
    running = board.slot(0)
    for _ in range(250):
        file = chance.choice(files)
        off = chance.choice([0, 0, chance.randrange(len(file)), chance.randrange(len(file) + 900), 2**32 - 1])
        reply = board.write(
            UPLOAD,
            {
                "off": off,
                "data": file[off : off + chance.randrange(900)] or b"x",
                **({"len": chance.choice([len(file), len(file) + 1, 50])} if chance.random() < 0.7 else {}),
                **({"sha": hashlib.sha256(file).digest()} if chance.random() < 0.7 else {}),
            },
        )
        assert ("off" in reply) != ("err" in reply)
        if chance.random() < 0.05:
            board.write(STATE, {"hash": image_digest(B)})
        if chance.random() < 0.05:
            board.write(ERASE, {})
    assert board.slot(0) == running
    assert TRAILER_MAGIC not in board.slot(1)[:-16]
    board.write(ERASE, {})
    assert board.upload(B)["match"] is True
    assert board.write(STATE, {"hash": image_digest(B)})["images"][1]["pending"]


IMAGES, SLOTS_FILE = "management/src/image_group.c", "boot/src/slots.c"
MUTATIONS: dict[str, tuple[list[tuple[str, str, str]], Callable[[Board], None]]] = {
    "an upload goes into the active slot": (
        [
            (IMAGES, "const uint32_t slot = 1u - tyf_boot_active();", "const uint32_t slot = tyf_boot_active();"),
            (SLOTS_FILE, "if (active == TYF_BOOT_NO_SLOT || active == slot) {", "if (active == TYF_BOOT_NO_SLOT || slot > 1u) {"),
        ],
        test_first_chunk_tells_what_cannot_become_an_image,
    ),
    "a chunk is taken at any offset": (
        [(IMAGES, "request->off == upload.off && ", "")],
        test_chunk_that_is_repeated_or_elsewhere_changes_nothing,
    ),
    "the hash of the file is not compared": (
        [(IMAGES, "if (upload.has_sha && memcmp(digest, upload.sha, sizeof digest) != 0) {", "if (false) {")],
        test_other_hash_mid_session_is_noticed_at_the_end,
    ),
    "the link address is not looked at": (
        [(IMAGES, "if (status == TYF_ERR_TARGET) {", "if (status == TYF_ERR_TARGET) {\n        return TYF_SMP_OK;")],
        test_first_chunk_tells_what_cannot_become_an_image,
    ),
    "an image that waits is overwritten": (
        [(IMAGES, "if (is_pending(&state)) {", "if (false) {")],
        test_upload_while_another_image_waits_for_its_test_is_refused,
    ),
    "an image is confirmed before it ran": (
        [(IMAGES, "} else if (request->confirm) {", "} else if (false) {")],
        test_states_that_make_no_sense_are_refused,
    ),
    "another file goes on where the last one ended": (
        [(IMAGES, "memcmp(upload.sha, request->sha.data, sizeof upload.sha) == 0) {", "true) {")],
        test_other_file_of_the_same_size_starts_anew,
    ),
    "the last unit is not written": (
        [(IMAGES, "const uint32_t rest = is_last ? 0 :", "const uint32_t rest =")],
        lambda board: test_upload_in_pieces_of_any_size_is_the_file(board, 700),
    ),
}


@pytest.mark.full
@pytest.mark.parametrize("name", MUTATIONS)
def test_a_broken_image_group_is_seen(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changes, test = MUTATIONS[name]
    shutil.copytree(firmware_dir(), tmp_path / "firmware")
    for file, before, after in changes:
        source = tmp_path / "firmware" / "lib" / file
        text = source.read_text()
        assert text.count(before) == 1, f"{file} has not one {before!r}"
        source.write_text(text.replace(before, after))
    monkeypatch.setattr(program_process, "firmware_dir", lambda: tmp_path / "firmware")
    program = FirmwareProgram(program_process.build_program(tmp_path))
    try:
        with pytest.raises(AssertionError):
            test(Board(program))
    finally:
        program.kill()
