"""The proof at the end: every record that the board produced is in the cloud exactly once, with the host engine's bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tinyfleet.cloud.audit import CloudRow, compare_identities
from tinyfleet.telemetry import RecordIdentity
from tinyfleet_codegen.wire.record import decode_record

SHOWN_EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class ExpectedWindow:
    """One replayed window: where it lies, its true class, and the output that the host engine computes for it."""

    stream: int
    sample_index: int
    label: int
    output: bytes


@dataclass(frozen=True, slots=True)
class Audit:
    """Counts and failures of one run.

    Attributes:
        produced: Records by the board's own counter.
        in_cloud: Rows of this device in the cloud, all of them.
        lost: Records that the board produced and the cloud does not have.
        duplicates: Rows beyond the first of an identity, and deliveries of one record under two outbox entries.
        checked: Windows whose output bytes were compared.
        mismatches: Windows among them that differ.
        correct_on_device: Windows that the board put into their true class.
        correct_on_host: Windows that the host engine put into their true class.
        failures: One line for each kind of thing that is wrong; empty when all is well.
    """

    produced: int
    in_cloud: int
    lost: int
    duplicates: int
    checked: int
    mismatches: int
    correct_on_device: int
    correct_on_host: int
    failures: tuple[str, ...] = field(default=())


def audit(
    *,
    produced: int,
    boot: tuple[bytes, int],
    on_board: Sequence[bytes],
    rows: Sequence[CloudRow],
    redelivered_twice: int,
    expected: Sequence[ExpectedWindow],
    model_id: bytes,
) -> Audit:
    """Compare what the board made, what the cloud has, and what the host computes.

    Args:
        produced: The board's own counter.
        boot: (device_id, boot_id) of the run.
        on_board: The records that the board's ring still holds, read from the board directly.
        rows: Everything that the cloud has of this device.
        redelivered_twice: The cloud's own count of records that came under two outbox entries.
        expected: Every window that was replayed.
        model_id: Of the model that the board runs.
    """
    failures: list[str] = []

    def expect(holds: bool, failure: str) -> None:
        if not holds:
            failures.append(failure)

    missing, foreign, repeated, repeats = compare_identities({RecordIdentity(*boot, seq) for seq in range(produced)}, rows)
    duplicates = repeats + redelivered_twice
    expect(not missing, f"{len(missing)} of {produced} records are not in the cloud: {_examples(missing)}")
    expect(not foreign, f"{len(foreign)} records in the cloud that the board never made: {_examples(foreign)}")
    expect(not duplicates, f"{duplicates} duplicated records: {_examples(repeated) or 'refused by the cloud'}")
    other_model = [row.identity for row in rows if row.model_id != model_id]
    expect(not other_model, f"{len(other_model)} records name another model: {_examples(other_model)}")

    by_identity = {row.identity: row.record for row in rows}
    held = {RecordIdentity(boot[0], r.boot_id, r.seq): data for data in on_board for r in [decode_record(data)]}
    changed = sorted(identity for identity, data in held.items() if identity in by_identity and by_identity[identity] != data)
    expect(len(held) == produced, f"the board's ring holds {len(held)} of the {produced} records that it made")
    expect(not changed, f"{len(changed)} records changed between board and cloud: {_examples(changed)}")

    arrived = {(r.stream, r.sample_index): r for data in by_identity.values() for r in [decode_record(data)]}
    windows = {(w.stream, w.sample_index): w for w in expected}
    silent = sorted(windows.keys() - arrived.keys())
    unknown = sorted(arrived.keys() - windows.keys())
    expect(not silent, f"{len(silent)} replayed windows gave no record, as (stream, sample): {_examples(silent)}")
    expect(not unknown, f"{len(unknown)} records of windows that were not replayed: {_examples(unknown)}")
    both = sorted(windows.keys() & arrived.keys())
    wrong = [k for k in both if arrived[k].output != windows[k].output or arrived[k].top != _top(windows[k].output)]
    expect(not wrong, f"{len(wrong)} of {len(both)} outputs differ between board and host, as (stream, sample): {_examples(wrong)}")
    return Audit(
        produced=produced,
        in_cloud=len(rows),
        lost=len(missing),
        duplicates=duplicates,
        checked=len(both),
        mismatches=len(wrong),
        correct_on_device=sum(arrived[k].top == windows[k].label for k in both),
        correct_on_host=sum(_top(windows[k].output) == windows[k].label for k in both),
        failures=tuple(failures),
    )


def _top(output: bytes) -> int:
    """Index of the largest int8, the lowest on ties."""
    return max(range(len(output)), key=lambda i: ((output[i] ^ 0x80), -i))


def _examples(items: Sequence[object]) -> str:
    shown = ", ".join(str(item) for item in items[:SHOWN_EXAMPLES])
    return shown + (", ..." if len(items) > SHOWN_EXAMPLES else "")
