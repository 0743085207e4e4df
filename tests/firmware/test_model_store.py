"""Models as objects on the host board, under sanitizers: what is proved before a package answers, and how it goes away again."""

from __future__ import annotations

import hashlib
from pathlib import Path

import cbor2
import numpy as np
import pytest

from tests.firmware.program_process import FirmwareProgram, message
from tests.support.model_board import RETRAINED, A, B, ModelBoard, answer, refused_packages, some_input
from tests.support.model_swap import ARENA_BYTES, TRIGGER, Bad, good_package, with_bad_kernel, write_key
from tests.support.small_models import dense_package
from tinyfleet.link.framing import FrameDecoder, encode_message
from tinyfleet.link.memory import NVM_BYTES
from tinyfleet.model_package import GoldenPlan, make_delta, pack_model, read_package
from tinyfleet_codegen.wire.ids import Command, ModelPhase, ModelPlace, SmpGroup, Status
from tinyfleet_codegen.wire.nvm import Identity
from tinyfleet_codegen.wire.record import decode_record, split_records

READ, WRITE = 0, 2


def board_of(program: FirmwareProgram) -> ModelBoard:
    program.power_on(Identity(bytes(range(16)), bytes(32)).encode().ljust(NVM_BYTES, b"\0"))
    return ModelBoard(program)


@pytest.fixture
def board(program: FirmwareProgram) -> ModelBoard:
    return board_of(program)


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_key(tmp_path_factory.mktemp("key"))


@pytest.fixture(scope="module")
def a(key: Path) -> bytes:
    return good_package(A, "host", key)


@pytest.fixture(scope="module")
def b(key: Path) -> bytes:
    return good_package(B, "host", key)


def test_a_package_is_proved_takes_the_place_and_survives_a_reset(board: ModelBoard, a: bytes, b: bytes) -> None:
    x = some_input(1)
    before = board.infer(x)
    assert board.live() == (ModelPlace.BUILT_IN, 1)
    assert board.swap(a) == 2
    assert board.live() == (ModelPlace.SLOT_0, 2)
    info = board.ask(Command.MODEL_INFO, READ)
    assert (info["name"], info["model_id"], info["generation"]) == ("a", A.model_id, 2)
    assert board.infer(x) == answer(a, x) != before
    assert board.swap(b) == 3
    assert board.live() == (ModelPlace.SLOT_1, 3) and board.models()["previous"] == ModelPlace.SLOT_0
    assert board.infer(x) == answer(b, x)
    board.reset()
    assert board.live() == (ModelPlace.SLOT_1, 3)
    assert board.infer(x) == answer(b, x)
    # Back to the one before, and behind it to the built-in one.
    assert board.ask(Command.MODEL_REVERT)["generation"] == 2
    assert board.infer(x) == answer(a, x)
    board.reset()
    assert board.live() == (ModelPlace.SLOT_0, 2)
    assert board.ask(Command.MODEL_REVERT)["generation"] == 1
    assert board.infer(x) == before
    assert board.status(Command.MODEL_REVERT) is Status.ERR_STATE
    board.reset()
    assert board.live() == (ModelPlace.BUILT_IN, 1)
    # A generation is not given twice.
    assert board.swap(a) == 4


def test_nothing_but_a_proved_package_can_be_confirmed(board: ModelBoard, a: bytes, b: bytes) -> None:
    digest = read_package(a).digest
    assert board.status(Command.MODEL_CONFIRM) is Status.ERR_STATE
    assert board.status(Command.MODEL_TEST) is Status.ERR_STATE
    assert board.push(a) is Status.OK
    assert board.free()["phase"] == ModelPhase.STORED
    assert board.status(Command.MODEL_CONFIRM) is Status.ERR_STATE
    assert board.status(Command.MODEL_TEST) is Status.OK
    assert board.status(Command.MODEL_CONFIRM, digest=read_package(b).digest) is Status.ERR_ARG
    assert board.ask(Command.MODEL_CONFIRM, digest=digest)["generation"] == 2
    assert board.ask(Command.MODEL_CONFIRM, digest=digest)["generation"] == 2, "the same again is no error"
    assert board.status(Command.MODEL_CONFIRM) is Status.ERR_STATE


def test_what_does_not_prove_itself_is_refused_and_changes_nothing(
    board: ModelBoard, a: bytes, b: bytes, key: Path, tmp_path: Path
) -> None:
    x = some_input(2)
    board.swap(b)
    for name, (package, status) in refused_packages(a, key, tmp_path).items():
        assert board.prove(package) == (ModelPhase.REFUSED, status), name
        assert board.status(Command.MODEL_CONFIRM) is Status.ERR_STATE, name
        assert board.live() == (ModelPlace.SLOT_0, 2), name
        assert board.infer(x) == answer(b, x), name
    board.reset()
    assert board.live() == (ModelPlace.SLOT_0, 2)
    assert board.swap(a) == 3, "a good one still comes through"


def test_a_transfer_goes_on_where_it_ended_and_is_not_made_twice(board: ModelBoard, a: bytes, b: bytes) -> None:
    sha = hashlib.sha256(a).digest()
    first = {"len": len(a), "sha": sha}
    assert board.ask(Command.MODEL_UPLOAD, off=5, data=b"x")["off"] == 0, "nothing has begun"
    assert board.ask(Command.MODEL_UPLOAD, off=0, data=a[:101], **first)["off"] == 101
    assert board.ask(Command.MODEL_UPLOAD, off=0, data=a[:50], **first)["off"] == 101, "begun already"
    assert board.ask(Command.MODEL_UPLOAD, off=700, data=a[700:720])["off"] == 101, "not wanted now"
    assert board.ask(Command.MODEL_UPLOAD, off=101, data=a[101:650])["off"] == 650
    assert board.status(Command.MODEL_UPLOAD, off=650, data=a[650:] + b"z") is Status.ERR_ARG, "longer than announced"
    assert board.ask(Command.MODEL_UPLOAD, off=650, data=a[650:1300])["off"] == 1300
    assert board.ask(Command.MODEL_UPLOAD, off=1300, data=a[1300:])["off"] == len(a)
    assert board.free()["phase"] == ModelPhase.STORED
    assert board.ask(Command.MODEL_UPLOAD, off=0, data=a[:50], **first)["off"] == len(a), "it is there"
    assert board.status(Command.MODEL_TEST) is Status.OK
    assert board.ask(Command.MODEL_CONFIRM)["generation"] == 2
    # Other bytes than were announced, and sizes that cannot be.
    wrong = bytearray(b)
    wrong[500] ^= 1
    assert board.ask(Command.MODEL_UPLOAD, off=0, data=bytes(wrong[:700]), len=len(b), sha=hashlib.sha256(b).digest())["off"] == 700
    assert board.status(Command.MODEL_UPLOAD, off=700, data=bytes(wrong[700:])) is Status.ERR_FORMAT
    assert board.free()["phase"] == ModelPhase.REFUSED
    assert board.status(Command.MODEL_UPLOAD, off=0, data=b"", len=0, sha=sha) is Status.ERR_TOO_LARGE
    assert board.status(Command.MODEL_UPLOAD, off=0, data=b"x", len=1 << 30, sha=sha) is Status.ERR_TOO_LARGE
    assert board.prove(b) == (ModelPhase.READY, Status.OK), "after all of it"


def test_a_new_transfer_drops_the_package_before_and_never_the_live_one(board: ModelBoard, a: bytes, b: bytes, key: Path) -> None:
    x = some_input(3)
    board.swap(a)
    board.swap(b)
    assert board.models()["previous"] == ModelPlace.SLOT_0
    c = good_package(RETRAINED, "host", key)
    assert board.ask(Command.MODEL_UPLOAD, off=0, data=c[:100], len=len(c), sha=hashlib.sha256(c).digest())["off"] == 100
    assert board.models()["previous"] == ModelPlace.BUILT_IN
    board.reset()
    assert board.live() == (ModelPlace.SLOT_1, 3)
    assert board.infer(x) == answer(b, x)
    assert board.free()["phase"] in (ModelPhase.EMPTY, ModelPhase.STORED)
    assert board.ask(Command.MODEL_REVERT)["generation"] == 1


def test_erasing_forgets_what_is_not_live(board: ModelBoard, a: bytes, b: bytes) -> None:
    board.swap(a)
    assert board.prove(b) == (ModelPhase.READY, Status.OK)
    assert board.status(Command.MODEL_ERASE) is Status.OK
    assert board.free()["phase"] == ModelPhase.EMPTY
    assert board.status(Command.MODEL_CONFIRM) is Status.ERR_STATE
    board.swap(b)
    assert board.status(Command.MODEL_ERASE) is Status.OK
    assert board.ask(Command.MODEL_REVERT)["generation"] == 1, "the one before was erased"


def test_a_package_that_was_there_before_the_reset_can_be_tried(board: ModelBoard, a: bytes) -> None:
    assert board.push(a) is Status.OK
    board.reset()
    assert board.free()["phase"] == ModelPhase.STORED
    assert board.status(Command.MODEL_TEST) is Status.OK
    assert board.free()["phase"] == ModelPhase.READY
    board.reset()
    assert board.free()["phase"] == ModelPhase.STORED, "what was proved before the reset is proved again"
    assert board.status(Command.MODEL_CONFIRM) is Status.ERR_STATE


def test_from_its_confirmation_on_a_model_is_the_one_that_answers(board: ModelBoard, program: FirmwareProgram, a: bytes, b: bytes) -> None:
    """Until the main loop came round the model before answered on, of which a request in the same bytes could erase the slot."""
    board.swap(a)
    board.prove(b)
    asked = [message(WRITE, SmpGroup.TINYFLEET, Command.MODEL_CONFIRM, {}), message(READ, SmpGroup.TINYFLEET, Command.MODEL_INFO, {})]
    frames = [encode_message(request) for request in asked]
    # The host board takes 32 bytes at a time: of both frames the end lies in the second of these.
    replies = FrameDecoder().feed(program.ask("F", b"\n" * (60 - len(b"".join(frames))) + b"".join(frames)))
    assert [cbor2.loads(reply[8:])["generation"] for reply in replies] == [3, 3]


# Beside the live model


def test_the_candidate_watches_and_only_the_live_model_answers(board: ModelBoard, a: bytes, b: bytes, key: Path) -> None:
    board.swap(a)
    same = good_package(A, "host", key, "1.0.1")
    assert board.prove(same, shadow=5, agree=5) == (ModelPhase.SHADOWING, Status.OK)
    for i in range(5):
        assert board.free()["shadowed"] == i
        x = some_input(10 + i)
        assert board.infer(x) == answer(a, x)
    slot = board.free()
    assert (slot["phase"], slot["shadowed"], slot["agreed"]) == (ModelPhase.READY, 5, 5)
    assert board.live() == (ModelPlace.SLOT_0, 2)
    assert board.ask(Command.MODEL_CONFIRM)["generation"] == 3


def test_one_that_disagrees_too_often_is_refused_as_soon_as_that_is_known(board: ModelBoard, a: bytes, b: bytes) -> None:
    board.swap(a)
    inputs = [some_input(30 + i) for i in range(40)]
    agree = [np.frombuffer(answer(a, x), np.int8).argmax() == np.frombuffer(answer(b, x), np.int8).argmax() for x in inputs]
    needed = 20
    third_miss = [i for i, agrees in enumerate(agree) if not agrees][2]
    assert board.prove(b, shadow=needed, agree=needed - 2) == (ModelPhase.SHADOWING, Status.OK)
    for x in inputs[: third_miss + 1]:
        board.infer(x)
    slot = board.free()
    assert (slot["phase"], -slot["status"]) == (ModelPhase.REFUSED, Status.ERR_DISAGREES)
    assert (slot["shadowed"], slot["agreed"]) == (third_miss + 1, sum(agree[: third_miss + 1]))
    assert board.live() == (ModelPlace.SLOT_0, 2)


def test_agreement_within_a_difference(board: ModelBoard, a: bytes, key: Path) -> None:
    board.swap(a)
    other = good_package(RETRAINED, "host", key)
    inputs = [some_input(90 + i) for i in range(6)]
    gaps = [int(np.abs(np.frombuffer(answer(a, x), np.int8).astype(int) - np.frombuffer(answer(other, x), np.int8)).max()) for x in inputs]
    for bound in (max(gaps), max(gaps) - 1):
        assert board.prove(other, shadow=6, agree=6, difference=bound) == (ModelPhase.SHADOWING, Status.OK)
        for x in inputs:
            board.infer(x)
        assert board.free()["agreed"] == sum(gap <= bound for gap in gaps) if bound == max(gaps) else True
        assert (board.free()["phase"] == ModelPhase.READY) == (bound == max(gaps))


def test_watching_is_refused_where_it_cannot_be_unless_policy_says_to_go_on(board: ModelBoard, key: Path) -> None:
    wide = good_package(dense_package("wide", 3, outputs=9), "host", key)
    assert board.prove(wide, shadow=5) == (ModelPhase.REFUSED, Status.ERR_TARGET)
    assert board.prove(wide, shadow=5, skip_shadow=True) == (ModelPhase.READY, Status.OK)
    assert board.ask(Command.MODEL_CONFIRM)["generation"] == 2
    # The same outputs, but an arena that leaves no room for one more output.
    full = pack_model(dense_package("full", 4, outputs=ARENA_BYTES - 64, hidden=1), "host", golden=GoldenPlan(count=1), key=key)
    assert read_package(full).arena_bytes > ARENA_BYTES - 64
    board.swap(full)
    again = pack_model(dense_package("full", 5, outputs=ARENA_BYTES - 64, hidden=1), "host", golden=GoldenPlan(count=1), key=key)
    assert board.prove(again, shadow=5) == (ModelPhase.REFUSED, Status.ERR_ARENA)


def test_one_that_faults_or_hangs_beside_the_live_model_is_refused(board: ModelBoard, a: bytes, key: Path) -> None:
    board.swap(a)
    trigger = bytes([TRIGGER]) + some_input(4)[1:]
    for bad, status in ((Bad.FAULT_AT_TRIGGER, Status.ERR_FAULT), (Bad.HANG_AT_TRIGGER, Status.ERR_OVERRUN)):
        package = with_bad_kernel(a, "host", bad, key)
        assert board.prove(package, shadow=5, agree=5) == (ModelPhase.SHADOWING, Status.OK)
        board.infer(some_input(5))
        assert board.infer(trigger) == answer(a, trigger), "the live model has answered before"
        assert (board.free()["phase"], -board.free()["status"], board.free()["shadowed"]) == (ModelPhase.REFUSED, status, 1)
        assert board.live() == (ModelPlace.SLOT_0, 2)


def test_it_takes_the_place_by_itself_when_it_may(board: ModelBoard, a: bytes, key: Path) -> None:
    board.swap(a)
    same = good_package(A, "host", key, "1.0.1")
    assert board.prove(same, shadow=2, agree=2, confirm=True)[0] is ModelPhase.SHADOWING
    board.infer(some_input(1))
    assert board.live() == (ModelPlace.SLOT_0, 2)
    assert "out_bytes" in board.ask(Command.INFER, off=0, data=some_input(2))
    assert board.live() == (ModelPlace.SLOT_1, 3)
    reply = board.ask(Command.INFER, READ, off=0)
    assert Status(-reply["err"]["rc"]) is Status.ERR_STATE, "that output went with its model"


# Its conduct once it is live


def test_equal_answers_in_a_row_give_the_place_back_without_a_reset(
    board: ModelBoard, program: FirmwareProgram, a: bytes, b: bytes
) -> None:
    board.swap(a)
    assert board.swap(b, stuck=4) == 3
    resets = program.ask("R")
    for _ in range(2):
        for x in (some_input(1), some_input(2), some_input(3)):
            board.infer(x)
    assert board.live() == (ModelPlace.SLOT_1, 3)
    for _ in range(3):
        board.infer(some_input(4))
    board.ask(Command.INFER, off=0, data=some_input(4))
    assert board.live() == (ModelPlace.SLOT_0, 2) and board.models()["reverts"] == 1
    slot = board.models()["slot_1"]
    assert (slot["phase"], -slot["status"]) == (ModelPhase.REFUSED, Status.ERR_UNHEALTHY)
    assert board.infer(some_input(5)) == answer(a, some_input(5))
    assert program.ask("R") == resets
    board.reset()
    assert board.live() == (ModelPlace.SLOT_0, 2)


# Records


def test_records_carry_the_generation_of_the_model_that_answered(board: ModelBoard, a: bytes, b: bytes) -> None:
    rng = np.random.default_rng(6)
    samples = rng.integers(-3000, 3000, (8 + 4 * 8, 3), dtype=np.int16)
    expected = []
    for place, generation in ((0, 1), (8, 2), (20, 3), (28, 2)):
        end = {0: 8, 8: 20, 20: 28, 28: 40}[place]
        if generation > 1 and place < 28:
            board.swap(a if generation == 2 else b)
        elif place == 28:
            board.ask(Command.MODEL_REVERT)
        reply = board.ask(Command.REPLAY, stream=1, off=place, data=samples[place:end].tobytes())
        assert reply["off"] == end, "one recording goes on from model to model"
        expected += [generation] * ((end - 8) // 4 - max(-1, (place - 8) // 4))
    pulled = board.ask(Command.RESULTS, READ, since=0, max=100)
    records = [decode_record(data) for data in split_records(pulled["records"])]
    assert [record.sample_index for record in records] == [4 * i for i in range(9)]
    assert [record.model_generation for record in records] == expected == [1, 2, 2, 2, 3, 3, 2, 2, 2]


# Deltas


def test_a_delta_makes_the_signed_bytes(board: ModelBoard, key: Path) -> None:
    old, new = (dense_package("ad", 3, hidden=64, outputs=4, head_seed=seed) for seed in (None, 9))
    base, package = good_package(old, "host", key), good_package(new, "host", key, "1.1.0")
    delta = make_delta(base, package)
    assert delta is not None
    assert board.push(delta) is Status.ERR_BASE, "the base is not here"
    assert board.free()["phase"] == ModelPhase.EMPTY, "nothing was erased for it"
    board.swap(base)
    assert board.push(delta) is Status.OK
    assert board.status(Command.MODEL_TEST) is Status.OK
    slot = board.free()
    assert (slot["phase"], slot["digest"]) == (ModelPhase.READY, read_package(package).digest)
    assert board.ask(Command.MODEL_CONFIRM)["generation"] == 3
    x = some_input(8)
    assert board.infer(x) == answer(package, x)
    assert board.push(delta) is Status.OK, "it is there"


def test_a_damaged_delta_is_refused(board: ModelBoard, key: Path) -> None:
    old, new = (dense_package("ad", 3, hidden=64, outputs=4, head_seed=seed) for seed in (None, 9))
    base, package = good_package(old, "host", key), good_package(new, "host", key, "1.1.0")
    delta = make_delta(base, package)
    assert delta is not None
    board.swap(base)
    rng = np.random.default_rng(11)
    for _ in range(150):
        damaged = bytearray(delta)
        for _ in range(int(rng.integers(1, 3))):
            damaged[int(rng.integers(4, len(damaged)))] ^= 1 << int(rng.integers(8))
        status = board.push(bytes(damaged))
        if status is Status.OK:  # a copy from elsewhere of the same bytes
            assert board.status(Command.MODEL_TEST) is Status.OK
            assert board.free()["digest"] == read_package(package).digest
        else:
            assert status in (Status.ERR_FORMAT, Status.ERR_BASE, Status.ERR_VERSION, Status.ERR_TOO_LARGE, Status.ERR_ARG), status
        assert board.live() == (ModelPlace.SLOT_0, 2)
    for cut in (3, 40, 75, len(delta) - 1):
        assert board.push(delta[:cut]) in (Status.ERR_FORMAT, Status.OK)
        assert board.free()["phase"] != ModelPhase.READY
    assert board.push(delta) is Status.OK


def test_a_first_piece_that_is_longer_than_announced_changes_nothing(board: ModelBoard, key: Path) -> None:
    """The board began a delta before it looked at the length, and of the next piece took its header off once more: 4 bytes less 48."""
    old, new = (dense_package("ad", 3, hidden=64, outputs=4, head_seed=seed) for seed in (None, 9))
    base, package = good_package(old, "host", key), good_package(new, "host", key, "1.1.0")
    delta = make_delta(base, package)
    assert delta is not None
    board.swap(good_package(A, "host", key))
    board.swap(base)
    first = {"len": 60, "sha": bytes(range(32))}
    for begin in (delta[:100], package[:100]):
        assert board.status(Command.MODEL_UPLOAD, off=0, data=begin, **first) is Status.ERR_ARG
        previous = board.models()["previous"]
        assert board.status(Command.MODEL_UPLOAD, off=0, data=begin[:4], **first) in (Status.OK, Status.ERR_FORMAT)
        assert board.live()[0] is ModelPlace.SLOT_1
        assert previous == ModelPlace.SLOT_0, "the model before was given up for nothing"
        board.reset()
        board.swap(good_package(A, "host", key))
        board.swap(base)
    assert board.push(delta) is Status.OK
