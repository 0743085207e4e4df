"""lib/model_store with one thing broken at a time: each is seen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.flash_library import AFTER
from tests.support.host_board import HostBoard, Mutant, build_host_board
from tests.support.model_board import READ, A, B, ModelBoard, answer, refused_packages, some_input
from tests.support.model_swap import TRIGGER, Bad, good_package, with_bad_kernel, write_key
from tests.support.powercut.model_flow import ModelFlow
from tests.support.powercut.sweep import Report, Sweep
from tinyfleet.model_package import make_delta, read_package
from tinyfleet_codegen.wire.ids import Command, ModelPhase, ModelPlace, Status

Check = Callable[[ModelBoard, Path, Path], None]
SRC = "lib/model_store/src/"


def start(library: Path) -> ModelBoard:
    board = HostBoard(library)
    board.power_on()
    return ModelBoard(board)


def refuses(name: str) -> Check:
    """The package of that name is refused for its own reason, and a good one is taken afterwards."""

    def check(board: ModelBoard, key: Path, folder: Path) -> None:
        a = good_package(A, "host", key)
        package, status = refused_packages(a, key, folder)[name]
        assert board.prove(package) == (ModelPhase.REFUSED, status)
        board.swap(a)

    return check


def keeps_the_live_model_over_a_reset(board: ModelBoard, key: Path, folder: Path) -> None:
    a = good_package(A, "host", key)
    board.swap(a)
    board.reset()
    assert board.live() == (ModelPlace.SLOT_0, 2)
    assert board.infer(some_input(1)) == answer(a, some_input(1))


def refuses_a_damaged_slot_at_the_start(board: ModelBoard, key: Path, folder: Path) -> None:
    a = good_package(A, "host", key)
    board.swap(a)
    assert isinstance(board.target, HostBoard)
    at = 0x40000 + 32 + len(read_package(a).blob) - 3  # a weight
    board.target.memory[at] = bytes([board.target.memory[at][0] ^ 0x10])
    board.reset()
    assert board.live() == (ModelPlace.BUILT_IN, 1)


def needs_a_proof_again_after_a_transfer(board: ModelBoard, key: Path, folder: Path) -> None:
    a, b = good_package(A, "host", key), good_package(B, "host", key)
    assert board.prove(a) == (ModelPhase.READY, Status.OK)
    board.push(b)
    assert board.status(Command.MODEL_CONFIRM) is Status.ERR_STATE


def checks_the_base_before_it_erases(board: ModelBoard, key: Path, folder: Path) -> None:
    a, b = good_package(A, "host", key), good_package(B, "host", key)
    old, new = good_package(A, "host", key, "2.0.0"), good_package(A, "host", key, "3.0.0")
    board.swap(a)
    board.swap(b)
    delta = make_delta(old, new)
    assert delta is not None and board.push(delta) is Status.ERR_BASE
    assert board.models()["previous"] == ModelPlace.SLOT_0
    assert board.ask(Command.MODEL_REVERT)["generation"] == 2
    assert board.infer(some_input(1)) == answer(a, some_input(1))


def refuses_a_delta_that_makes_other_bytes(board: ModelBoard, key: Path, folder: Path) -> None:
    a, new = good_package(A, "host", key), good_package(A, "host", key, "3.0.0")
    board.swap(a)
    delta = make_delta(a, new)
    assert delta is not None
    wrong = bytearray(delta)
    wrong[-1] ^= 1  # a byte of the signature
    assert board.push(bytes(wrong)) is Status.ERR_FORMAT


def counts_disagreement(board: ModelBoard, key: Path, folder: Path) -> None:
    a, b = good_package(A, "host", key), good_package(B, "host", key)
    board.swap(a)
    assert board.prove(b, shadow=20, agree=20)[0] is ModelPhase.SHADOWING
    for seed in range(20):
        board.infer(some_input(seed))
    assert -board.free()["status"] == Status.ERR_DISAGREES


def gives_the_candidate_its_own_input(board: ModelBoard, key: Path, folder: Path) -> None:
    a = good_package(A, "host", key)
    board.swap(a)
    package = with_bad_kernel(a, "host", Bad.FAULT_AT_TRIGGER, key)
    assert board.prove(package, shadow=3, agree=3)[0] is ModelPhase.SHADOWING
    board.infer(bytes([TRIGGER]) + some_input(1)[1:])
    assert -board.free()["status"] == Status.ERR_FAULT
    assert board.prove(good_package(A, "host", key, "1.0.1"), shadow=3, agree=3)[0] is ModelPhase.SHADOWING
    for seed in range(3):
        board.infer(some_input(seed))
    assert board.free()["agreed"] == 3


def keeps_the_way_back_from_a_first_piece_that_is_too_long(board: ModelBoard, key: Path, folder: Path) -> None:
    a, b = good_package(A, "host", key), good_package(B, "host", key)
    board.swap(a)
    board.swap(b)
    assert board.status(Command.MODEL_UPLOAD, off=0, data=a[:200], len=100, sha=bytes(32)) is Status.ERR_ARG
    assert board.models()["previous"] == ModelPlace.SLOT_0


def names_generations_apart(board: ModelBoard, key: Path, folder: Path) -> None:
    a, b = good_package(A, "host", key), good_package(B, "host", key)
    assert [board.swap(a), board.swap(b)] == [2, 3]
    assert board.ask(Command.MODEL_REVERT)["generation"] == 2
    assert board.swap(b) == 4
    assert board.ask(Command.MODEL_INFO, READ)["generation"] == 4


CHECKS: dict[str, tuple[Check, tuple[Mutant, ...]]] = {
    "golden outputs not compared": (
        refuses("another golden output"),
        ((SRC + "prove.c", "    if (!is_output(&slot->package, &vector, arena + model->output_offset)) {", "    if (false) {"),),
    ),
    "one golden vector is enough": (
        refuses("another golden output"),
        ((SRC + "prove.c", "++slot->report.proved != slot->package.vector_count", "++slot->report.proved == 0"),),
    ),
    "arena not checked": (refuses("a larger arena"), ((SRC + "slot.c", "package->arena_bytes > config->arena_bytes", "false"),)),
    "facts not compared with the blob": (
        refuses("another arena than the blob's"),
        ((SRC + "slot.c", "    if (!is_as_promised(package, &slot->blob.model)) {", "    if (false) {"),),
    ),
    "signature not checked": (
        refuses("a changed weight"),
        (
            (
                SRC + "prove.c",
                "    tyf_status status = tyf_model_slot_step(trial->slot, &trial->check, HASH_BYTES);",
                "    tyf_status status = TYF_OK;\n    trial->check.is_done = true;\n    (void)HASH_BYTES;",
            ),
        ),
    ),
    "any kernel ABI": (refuses("another ABI"), ((SRC + "slot.c", "package->kernel_abi != config->kernels->abi", "false"),)),
    "op set not checked": (
        refuses("a kernel that is absent"),
        ((SRC + "slot.c", "        if (!has_kernel(", "        if (false && !has_kernel("),),
    ),
    "faults not heeded": (
        refuses("a kernel that faults"),
        ((SRC + "prove.c", ": outcome.result == TYF_GUARD_FAULT ? TYF_ERR_FAULT", ": outcome.result == TYF_GUARD_FAULT ? TYF_OK"),),
    ),
    "choice not durable": (
        keeps_the_live_model_over_a_reset,
        ((SRC + "choice.c", "    return tyf_settings_set(KEY, value, sizeof value);", "    return TYF_OK;"),),
    ),
    "no check at the start": (
        refuses_a_damaged_slot_at_the_start,
        (
            (
                SRC + "store.c",
                "        status = tyf_model_slot_step(number, &check, TYF_FLASH_PAGE_BYTES);",
                "        memcpy(tyf_model_store_state.slots[number].report.digest, check.image.digest, 32);\n        break;",
            ),
        ),
    ),
    "a proof outlives what was proved": (
        needs_a_proof_again_after_a_transfer,
        (
            (SRC + "store.c", "    if (store->trial.slot == number) {\n        tyf_model_trial_stop();\n    }\n", ""),
            (
                SRC + "receive.c",
                "    store->slots[t.slot].report = (tyf_model_slot_report){.phase = TYF_MODEL_PHASE_RECEIVING, .received = t.written};\n",
                "",
            ),
        ),
    ),
    "a delta's base not looked for": (
        checks_the_base_before_it_erases,
        (
            (
                SRC + "receive.c",
                "        if (find_base(piece->data + TYF_DELTA_BASE_OFFSET, t.slot) == MODEL_NONE) {",
                "        if (false) {",
            ),
        ),
    ),
    "rebuilt bytes not hashed": (
        refuses_a_delta_that_makes_other_bytes,
        ((SRC + "receive.c", "t->written == t->package_bytes && memcmp(sha256, t->package_sha256, TYF_SHA256_BYTES) == 0", "true"),),
    ),
    "agreement not asked for": (
        counts_disagreement,
        ((SRC + "prove.c", "slot->report.shadowed - slot->report.agreed > policy->shadow - policy->agree", "false"),),
    ),
    "the input is taken after the live model ran": (
        gives_the_candidate_its_own_input,
        (
            ("lib/sensor/src/sensor.c", "    tyf_model_store_offer(live);\n", ""),
            (
                "lib/sensor/src/sensor.c",
                "    tyf_model_store_answered(live, latency_us);",
                "    tyf_model_store_offer(live);\n    tyf_model_store_answered(live, latency_us);",
            ),
        ),
    ),
    "a first piece of any length": (
        keeps_the_way_back_from_a_first_piece_that_is_too_long,
        ((SRC + "receive.c", "    if (piece->bytes > piece->total) {\n        return TYF_ERR_ARG;\n    }\n", ""),),
    ),
    "a generation is given twice": (
        names_generations_apart,
        ((SRC + "store.c", "uint8_t next = choice->newest;", "uint8_t next = choice->generation[0];"),),
    ),
}


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_key(tmp_path_factory.mktemp("key"))


@pytest.mark.parametrize("name", CHECKS)
def test_the_unbroken_store_passes_and_the_broken_one_is_seen(name: str, key: Path, tmp_path: Path) -> None:
    check, mutants = CHECKS[name]
    check(start(build_host_board(tmp_path)), key, tmp_path)
    broken = build_host_board(tmp_path, mutants)
    with pytest.raises(AssertionError):
        check(start(broken), key, tmp_path)


CUT: dict[str, tuple[Mutant, ...]] = {
    "the way back is erased while it is one": (
        (SRC + "receive.c", "    const tyf_status status = tyf_model_slot_release(t.slot);", "    const tyf_status status = TYF_OK;"),
    ),
    "chosen before it is proved": (
        (
            SRC + "prove.c",
            "    store->slots[number].report.phase = TYF_MODEL_PHASE_CHECKING;",
            "    model_choice choice = store->choice;\n    choice.place[0] = (uint8_t)model_place(number);\n"
            "    memcpy(choice.digest[0], store->trial.check.image.digest, 32);\n    (void)tyf_model_choice_write(&choice);\n"
            "    store->slots[number].report.phase = TYF_MODEL_PHASE_CHECKING;",
        ),
    ),
    "live before that is durable": (
        (
            SRC + "store.c",
            "    const tyf_status status = tyf_model_choice_write(&choice);\n    if (status != TYF_OK) {\n        return status;\n    }\n"
            "    store->choice = choice;\n    const tyf_model_policy policy",
            "    store->choice = choice;\n    const tyf_model_policy policy",
        ),
    ),
}


@pytest.mark.parametrize("name", CUT)
def test_a_design_that_a_power_cut_breaks_is_seen(name: str, tmp_path: Path) -> None:
    report = Report()
    sweep = Sweep(ModelFlow(tmp_path, CUT[name]), report, 3)
    for cut in sweep.cuts(tears=0):
        if cut.how == AFTER:
            sweep.single(cut)
        if report.violations:
            break
    print(report.violations[:2])
    assert report.violations
