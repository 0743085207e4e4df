"""The audit would be worth nothing if it did not fail: each way to lose, double or change a record must show."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from tinyfleet.cloud.audit import CloudRow
from tinyfleet.demo.audit import Audit, ExpectedWindow, audit
from tinyfleet.telemetry import RecordIdentity
from tinyfleet_codegen.wire.record import Record

DEVICE, BOOT, MODEL = bytes(range(16)), 4, bytes(32)
OUTPUTS = [bytes([100, 0x80, 0x80]), bytes([0x80, 5, 4]), bytes([0x80, 0x80, 127]), bytes([3, 3, 0x80])]
TOPS = [0, 1, 2, 0]
LABELS = [0, 1, 2, 1]
WINDOWS = [ExpectedWindow(7, 50 * i, LABELS[i], OUTPUTS[i]) for i in range(4)]


def record(seq: int, **changed: Any) -> Record:
    made = Record(BOOT, seq, 7, 50 * seq, 200, 1000 * seq, 1, TOPS[seq], OUTPUTS[seq])
    return dataclasses.replace(made, **changed)


def row(made: Record, model_id: bytes | None = MODEL) -> CloudRow:
    return CloudRow(RecordIdentity(DEVICE, made.boot_id, made.seq), made.encode(), model_id)


ROWS = [row(record(seq)) for seq in range(4)]
ON_BOARD = [record(seq).encode() for seq in range(4)]


def run(**changed: Any) -> Audit:
    given: dict[str, Any] = {
        "produced": 4,
        "boot": (DEVICE, BOOT),
        "on_board": ON_BOARD,
        "rows": ROWS,
        "redelivered_twice": 0,
        "expected": WINDOWS,
        "model_id": MODEL,
    }
    return audit(**(given | changed))


def test_a_clean_run_passes() -> None:
    result = run()
    assert result.failures == ()
    assert (result.produced, result.in_cloud, result.lost, result.duplicates) == (4, 4, 0, 0)
    assert (result.checked, result.mismatches, result.correct_on_device, result.correct_on_host) == (4, 0, 3, 3)


def test_the_order_of_arrival_does_not_matter() -> None:
    assert run(rows=ROWS[::-1]).failures == ()


def test_a_dropped_record_is_lost() -> None:
    result = run(rows=ROWS[:2] + ROWS[3:])
    assert result.lost == 1
    assert any(f"1 of 4 records are not in the cloud: {DEVICE.hex()}/4/2" in f for f in result.failures)


def test_the_newest_record_missing_is_lost_by_the_boards_own_counter() -> None:
    assert run(rows=ROWS[:3]).lost == 1


def test_a_doubled_record_is_a_duplicate() -> None:
    result = run(rows=[*ROWS, ROWS[1]])
    assert (result.duplicates, result.in_cloud, result.lost) == (1, 5, 0)
    assert any("1 duplicated" in f for f in result.failures)


def test_a_record_under_two_outbox_entries_is_a_duplicate() -> None:
    result = run(redelivered_twice=2)
    assert result.duplicates == 2
    assert any("2 duplicated" in f for f in result.failures)


def test_a_record_in_place_of_another_is_lost_and_duplicated() -> None:
    result = run(rows=[*ROWS[:3], ROWS[2]])
    assert (result.lost, result.duplicates) == (1, 1)


@pytest.mark.parametrize("position", [0, 1, 2])
def test_one_changed_output_bit_is_a_mismatch(position: int) -> None:
    output = bytearray(OUTPUTS[2])
    output[position] ^= 1
    result = run(rows=[*ROWS[:2], row(record(2, output=bytes(output))), ROWS[3]])
    assert result.mismatches == 1
    assert any("1 of 4 outputs differ between board and host, as (stream, sample): (7, 100)" in f for f in result.failures)
    assert any("1 records changed between board and cloud" in f for f in result.failures)


def test_a_board_that_computes_something_else_is_a_mismatch_though_nothing_changed_on_the_way() -> None:
    wrong = record(0, output=bytes([99, 0x80, 0x80]))
    result = run(rows=[row(wrong), *ROWS[1:]], on_board=[wrong.encode(), *ON_BOARD[1:]])
    assert result.mismatches == 1
    assert len(result.failures) == 1


def test_a_wrong_class_beside_the_right_output_is_a_mismatch() -> None:
    # Record 3 has two largest elements; the lowest index must win.
    wrong = record(3, top=1)
    assert run(rows=[*ROWS[:3], row(wrong)], on_board=[*ON_BOARD[:3], wrong.encode()]).mismatches == 1


def test_another_time_in_the_record_counts_as_changed() -> None:
    assert any("changed" in f for f in run(rows=[*ROWS[:3], row(record(3, uptime_us=9))]).failures)


def test_records_of_another_boot_or_device_do_not_count() -> None:
    other_boot = [*ROWS[:3], row(record(3, boot_id=3))]
    assert run(rows=other_boot).lost == 1
    assert any("never made" in f for f in run(rows=other_boot).failures)


def test_a_record_that_names_another_model_fails() -> None:
    for model_id in (None, bytes([1]) * 32):
        assert any("another model" in f for f in run(rows=[*ROWS[:3], row(record(3), model_id)]).failures)


def test_a_window_without_a_record_fails() -> None:
    more = [*WINDOWS, ExpectedWindow(8, 0, 0, OUTPUTS[0])]
    assert any("1 replayed windows gave no record, as (stream, sample): (8, 0)" in f for f in run(expected=more).failures)


def test_a_record_of_no_window_fails() -> None:
    result = run(expected=WINDOWS[:3])
    assert result.checked == 3
    assert any("1 records of windows that were not replayed" in f for f in result.failures)


def test_a_ring_that_forgot_a_record_fails() -> None:
    assert any("ring holds 3 of the 4" in f for f in run(on_board=ON_BOARD[1:]).failures)


def test_nothing_at_all_is_no_success() -> None:
    result = run(rows=[])
    assert (result.lost, result.checked) == (4, 0)
    assert len(result.failures) == 2
