from __future__ import annotations

from dataclasses import replace

import pytest

from tests.gateway.fake_board import FakeBoard
from tinyfleet.cloud.audit import Audit, BoardCount, CloudRow, CloudView, audit
from tinyfleet.telemetry import RecordIdentity

DEVICE = b"d" * 16


def board() -> FakeBoard:
    made = FakeBoard(DEVICE)
    made.produce(10)
    return made


def view(*seqs: int) -> CloudView:
    history = board().history
    rows = tuple(CloudRow(RecordIdentity(DEVICE, 1, s), history[1, s]) for s in seqs)
    return CloudView(rows, dropped={}, duplicated=0, redelivered=0, alarms=0)


def verdict(cloud: CloudView, produced: int = 10) -> Audit:
    history = board().history
    return audit(
        cloud,
        [BoardCount(DEVICE, 1, produced)],
        records={RecordIdentity(DEVICE, *key): data for key, data in history.items()},
        windows={(1, seq * 25): history[1, seq][36:] for seq in range(produced)},
    )


def test_exact_cloud_passes() -> None:
    result = verdict(view(*range(10)))
    assert result.is_exact and (result.produced, result.stored) == (10, 10)


@pytest.mark.parametrize(
    ("cloud", "expected"),
    [
        (view(*range(9)), {"lost": 1, "stored": 9, "missing_windows": 1}),
        (view(*range(10), 4), {"duplicated": 1, "stored": 10, "missing_windows": 1}),
        (replace(view(*range(10)), duplicated=2), {"duplicated": 2}),
        (replace(view(*range(10)), alarms=1), {"alarms": 1}),
        (replace(view(*range(7)), dropped={(DEVICE, 1): 2}), {"lost": 1, "dropped": 2, "stored": 7}),
        (replace(view(*range(9)), dropped={(DEVICE, 1): 500}), {"lost": 0, "dropped": 1, "stored": 9}),
    ],
)
def test_every_defect_is_found_and_counted(cloud: CloudView, expected: dict[str, int]) -> None:
    result = verdict(cloud)
    assert {name: getattr(result, name) for name in expected} == expected
    assert not result.is_exact and result.first_problem
    assert result.produced == result.stored + result.dropped + result.lost


def test_row_that_was_never_produced_is_found() -> None:
    result = verdict(view(*range(10)), produced=9)
    assert (result.unexpected, result.is_exact) == (1, False)


def test_one_bit_in_an_output_is_found() -> None:
    cloud = view(*range(10))
    rows = list(cloud.rows)
    rows[3] = CloudRow(rows[3].identity, rows[3].record[:-1] + bytes([rows[3].record[-1] ^ 1]))
    result = verdict(replace(cloud, rows=tuple(rows)))
    assert (result.wrong, result.is_exact) == (1, False)


def test_redelivery_alone_is_no_defect() -> None:
    assert verdict(replace(view(*range(10)), redelivered=99)).is_exact
