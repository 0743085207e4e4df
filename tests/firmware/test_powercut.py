"""No power cut bricks a board, and a design that one can brick is seen: the campaign ``./run powercut``, sampled."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.campaigns.powercut import FLOWS
from tests.support.flash_library import BEFORE
from tests.support.host_board import Mutant
from tests.support.powercut.firmware_flows import CounterFlow, Rotation, UpdateFlow
from tests.support.powercut.sweep import Cut, Flow, Report, Sweep
from tests.support.powercut.transfer_flow import TransferFlow
from tinyfleet_codegen.firmware_tree import firmware_dir

SEED = 20
CUTS, DOUBLE_CUTS = 60, 15


@pytest.mark.parametrize("make", FLOWS)
def test_no_cut_violates_anything(make: Callable[[Path], Flow], tmp_path: Path) -> None:
    print(f"seed {SEED}")
    report = Report()
    sweep = Sweep(make(tmp_path), report, SEED)
    for cut in sweep.sampled(CUTS):
        sweep.single(cut)
    sweep.doubles(DOUBLE_CUTS)
    assert report.violations == []
    assert (report.cuts, report.double_cuts) == (CUTS, DOUBLE_CUTS) and len(report.operations) > 20


def test_cut_that_does_not_happen_is_a_violation(tmp_path: Path) -> None:
    report = Report()
    sweep = Sweep(CounterFlow(tmp_path), report)
    sweep.single(Cut(sweep.operations + 1, BEFORE))
    assert [text for text in report.violations if "the cut did not happen" in text]


def confirmed(folder: Path, firmware: Path) -> Flow:
    return UpdateFlow(folder, confirm=True, body_bytes=400, firmware=firmware)


def key_taken(folder: Path, firmware: Path) -> Flow:
    return UpdateFlow(folder, confirm=True, rotation=Rotation.TAKEN, body_bytes=400, firmware=firmware)


def reverted(folder: Path, firmware: Path) -> Flow:
    return UpdateFlow(folder, confirm=False, body_bytes=400, firmware=firmware)


MUTANTS: dict[str, tuple[Callable[[Path, Path], Flow], str, tuple[str, ...]]] = {
    "counter raised before the confirmation": (
        confirmed,
        "slots.c",
        (
            "    const tyf_status status = state.is_confirmed ? TYF_OK : set_flag(active, TYF_TRAILER_CONFIRMED_FROM_END);\n"
            "    return status == TYF_OK ? tyf_security_advance(&state.image) : status;",
            "    const tyf_status status = tyf_security_advance(&state.image);\n"
            "    return status == TYF_OK && !state.is_confirmed ? set_flag(active, TYF_TRAILER_CONFIRMED_FROM_END) : status;",
        ),
    ),
    "magic before the data": (
        confirmed,
        "slots.c",
        (
            "    return is_free(slot) && is_trailer_blank(slot) ? tyf_area_program(areas[slot], offset, data, bytes) : TYF_ERR_STATE;",
            "    if (offset == 0) {\n        const uint32_t order[2] = {9, ~UINT32_C(9)};\n"
            "        (void)tyf_area_program(areas[slot], tyf_boot_capacity(), order, sizeof order);\n"
            "        (void)tyf_area_program(areas[slot], slot_bytes() - TYF_TRAILER_MAGIC_FROM_END, magic, MAGIC_BYTES);\n    }\n"
            "    return is_free(slot) ? tyf_area_program(areas[slot], offset, data, bytes) : TYF_ERR_STATE;",
            "    if (offset != tyf_boot_capacity() && !is_trailer_blank(slot)) {",
            "    if (offset == 0 && !is_trailer_blank(slot)) {",
        ),
    ),
    "upload into the slot that runs": (
        confirmed,
        "slots.c",
        ("    if (active == TYF_BOOT_NO_SLOT || active == slot) {", "    (void)slot;\n    if (active == TYF_BOOT_NO_SLOT) {"),
    ),
    "way back given up before the confirmation": (reverted, "slots.c", ("    return state.is_confirmed;\n}\n", "    return true;\n}\n")),
    "image tried again and again": (
        reverted,
        "slots.c",
        ("is_pending(candidate, &states[candidate]) && set_flag(candidate, TYF_TRAILER_TRIED_FROM_END) != TYF_OK", "false"),
    ),
    "old key dropped before the confirmation": (
        key_taken,
        "slots.c",
        (
            "set_flag(active, TYF_TRAILER_CONFIRMED_FROM_END);\n    return",
            "tyf_security_advance(&state.image);\n    if (status == TYF_OK && !state.is_confirmed) {\n"
            "        return set_flag(active, TYF_TRAILER_CONFIRMED_FROM_END);\n    }\n    return",
        ),
    ),
    "what a confirmation left undone stays so": (
        key_taken,
        "slots.c",
        ("            (void)tyf_security_advance(&image); /* what a cut after the confirmation left undone */\n", ""),
    ),
    "one area for the counter": (
        CounterFlow,
        "security.c",
        (
            "    const unsigned first = sequence[0] > sequence[1] ? 1u : 0u;",
            "    const unsigned first = 0;\n    (void)sequence;",
            "    return append(areas[second], end[second], record) == TYF_OK ? TYF_OK : status;",
            "    return status;",
        ),
    ),
    "no check of a counter record": (
        CounterFlow,
        "security.c",
        ("tyf_get_u32_le(record + TYF_SECURITY_CRC_OFFSET) != tyf_crc32(0, record, TYF_SECURITY_CRC_OFFSET)", "false"),
    ),
}
"""Which flow sees it, the file in ``lib/boot/src``, and texts with what takes their place."""


@pytest.mark.parametrize("mutant", MUTANTS)
def test_broken_design_is_seen(mutant: str, tmp_path: Path) -> None:
    make, file, edits = MUTANTS[mutant]
    firmware = tmp_path / "firmware"
    for folder in ("lib", "boards"):
        shutil.copytree(firmware_dir() / folder, firmware / folder)
    source = firmware / "lib/boot/src" / file
    text = source.read_text()
    for before, after in zip(edits[::2], edits[1::2], strict=True):
        assert text.count(before) == 1, before
        text = text.replace(before, after)
    source.write_text(text)
    report = Report()
    sweep = Sweep(make(tmp_path, firmware), report, SEED)
    for cut in reversed(list(sweep.cuts(tears=0))):  # The decisions come late.
        sweep.single(cut)
        if report.violations:
            break
    print("\n".join(report.violations[:3]))
    assert report.violations != []


IMAGE, MODEL = "lib/management/src/image_group.c", "lib/model_store/src/receive.c"
TRANSFERS: dict[str, tuple[bool, tuple[Mutant, ...]]] = {
    "image: the place of the one before is believed": (
        False,
        ((IMAGE, "if (!tyf_transfer_forget(MARK)) {\n            result", "if (false) {\n            result"),),
    ),
    "image: a place is kept before the bytes are there": (
        False,
        (
            (
                IMAGE,
                "        const uint32_t before = upload.off;\n",
                "        const uint32_t before = upload.off;\n        upload.off += request->data.bytes;\n"
                "        mark_place(before);\n        upload.off = before;\n",
            ),
        ),
    ),
    "image: what is behind the place is not erased": (
        False,
        ((IMAGE, "upload.off = upload.erased = off;", "upload.off = off;\n        upload.erased = upload.bytes;"),),
    ),
    "image: a place within a page is kept": (False, ((IMAGE, "    file.off -= file.off % TYF_TRANSFER_MARK_BYTES;\n", ""),)),
    "model: the place of the one before is believed": (True, ((MODEL, "} else if (!tyf_transfer_forget(MARK)) {", "} else if (false) {"),)),
    "model: what is behind the place is not erased": (True, ((MODEL, "        t.erased = t.written;\n", "        t.erased = t.total;\n"),)),
    "model: a place within a page is kept": (True, ((MODEL, "t->written - t->written % TYF_TRANSFER_MARK_BYTES", "t->written"),)),
}
"""Of a model or an image, and the change."""


@pytest.mark.parametrize("mutant", TRANSFERS)
def test_place_that_is_kept_wrongly_is_seen(mutant: str, tmp_path: Path) -> None:
    print(f"seed {SEED}")
    model, edits = TRANSFERS[mutant]
    report = Report()
    sweep = Sweep(TransferFlow(tmp_path, model=model, mutants=edits), report, SEED)
    for cut in sweep.sampled(300):
        if report.violations:
            break
        sweep.single(cut)
    print(report.cuts, *report.violations[:3], sep="\n")
    assert report.violations != []
