"""The proof that nothing was lost or doubled: what boards say they produced, against what the cloud holds.

The cloud is read through its public interface, with a database that only this run wrote to. The boards' own counters are
the witness, not the gateway's word.
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, NamedTuple

import httpx

from tinyfleet.telemetry import RecordIdentity
from tinyfleet_codegen.errors import SinkError
from tinyfleet_codegen.wire.record import decode_record

PAGE_RECORDS = 2000
Window = tuple[int, int]
"""Stream and index of the first sample: which window of which recording a record is about."""


@dataclass(frozen=True, slots=True)
class BoardCount:
    """What one board says of one boot.

    Attributes:
        produced: Its own counter: records seq 0 .. produced - 1 were made.
    """

    device_id: bytes
    boot_id: int
    produced: int


@dataclass(frozen=True, slots=True)
class CloudRow:
    """One row of the cloud: identity, the device's bytes, and the model that the gateway named."""

    identity: RecordIdentity
    record: bytes
    model_id: bytes | None = None


@dataclass(frozen=True, slots=True)
class CloudView:
    """All that an audit needs of a cloud.

    Attributes:
        rows: Every record, as the cloud lists them.
        dropped: Records that outboxes declare as dropped, per (device_id, boot_id).
        duplicated: Deliveries of an identity that was stored already, by another outbox entry.
        redelivered: Repeated deliveries of one entry; normal after a crash or an outage.
        alarms: Identities that came with two different contents.
    """

    rows: tuple[CloudRow, ...]
    dropped: Mapping[tuple[bytes, int], int]
    duplicated: int
    redelivered: int
    alarms: int


@dataclass(frozen=True, slots=True)
class Audit:
    """The verdict. ``produced == stored + dropped + lost`` always holds.

    Attributes:
        produced: Records that the boards made.
        stored: How many of them are in the cloud.
        duplicated: Rows or deliveries too many of one identity.
        dropped: Missing, and declared as dropped by an outbox.
        lost: Missing, and nobody can say why; also what a board's ring overwrote.
        unexpected: Rows of these boards that they did not produce.
        wrong: Rows whose bytes are not the expected ones.
        missing_windows: Expected windows without exactly one row.
        alarms: See :class:`CloudView`.
        redelivered: See :class:`CloudView`.
        first_problem: The first thing that is not as it should be, or None.
    """

    produced: int
    stored: int
    duplicated: int
    dropped: int
    lost: int
    unexpected: int
    wrong: int
    missing_windows: int
    alarms: int
    redelivered: int
    first_problem: str | None

    @property
    def is_exact(self) -> bool:
        """Every produced record is in the cloud exactly once, with the right bytes, and nothing else is."""
        return self.first_problem is None


def audit(
    cloud: CloudView,
    boards: Sequence[BoardCount],
    *,
    records: Mapping[RecordIdentity, bytes] | None = None,
    windows: Mapping[Window, bytes] | None = None,
) -> Audit:
    """Compare a cloud with what boards produced.

    Args:
        cloud: See :func:`read_cloud`.
        boards: Every boot of every board that the run is about.
        records: The exact bytes of each record, where they are known.
        windows: The output that each window must have, where it is known; each must be there exactly once.
    """
    expected = {RecordIdentity(b.device_id, b.boot_id, seq) for b in boards for seq in range(b.produced)}
    devices = {b.device_id for b in boards}
    missing, unexpected, doubled, repeats = compare_identities(expected, (r for r in cloud.rows if r.identity.device_id in devices))
    declared = sum(cloud.dropped.get((b.device_id, b.boot_id), 0) for b in boards)
    dropped = min(declared, len(missing))
    wrong, missing_windows = _compare(cloud.rows, records or {}, windows or {})
    problems = [
        (len(missing) - dropped, f"{missing[0] if missing else ''} was produced and is not in the cloud"),
        (dropped, "the gateway's outbox was full and dropped records"),
        (len(doubled), f"{doubled[0] if doubled else ''} is in the cloud more than once"),
        (cloud.duplicated, "a record was delivered by more than one outbox entry"),
        (len(unexpected), f"{unexpected[0] if unexpected else ''} is in the cloud and was never produced"),
        (cloud.alarms, "one identity came with two contents"),
        (len(wrong), f"{wrong[0] if wrong else ''} has other bytes than expected"),
        (len(missing_windows), f"window {missing_windows[0] if missing_windows else ''} (stream, sample) is not there exactly once"),
    ]
    return Audit(
        produced=len(expected),
        stored=len(expected) - len(missing),
        duplicated=repeats + cloud.duplicated,
        dropped=dropped,
        lost=len(missing) - dropped,
        unexpected=len(unexpected),
        wrong=len(wrong),
        missing_windows=len(missing_windows),
        alarms=cloud.alarms,
        redelivered=cloud.redelivered,
        first_problem=next((text for count, text in problems if count), None),
    )


class Identities(NamedTuple):
    """What is wrong with the identities of some rows, sorted; ``repeats``: rows beyond the first of an identity."""

    missing: list[RecordIdentity]
    unexpected: list[RecordIdentity]
    doubled: list[RecordIdentity]
    repeats: int


def compare_identities(expected: Set[RecordIdentity], rows: Iterable[CloudRow]) -> Identities:
    """Which records are not there exactly once."""
    counts = Counter(row.identity for row in rows)
    doubled = sorted(identity for identity, count in counts.items() if count > 1)
    repeats = sum(count - 1 for count in counts.values())
    return Identities(sorted(expected - counts.keys()), sorted(counts.keys() - expected), doubled, repeats)


def _compare(
    rows: Iterable[CloudRow], records: Mapping[RecordIdentity, bytes], windows: Mapping[Window, bytes]
) -> tuple[list[RecordIdentity], list[Window]]:
    """Identities with wrong bytes, and windows that are not there exactly once."""
    wrong: list[RecordIdentity] = []
    seen: Counter[Window] = Counter()
    for row in rows:
        record = decode_record(row.record)
        window = (record.stream, record.sample_index)
        if row.record != records.get(row.identity, row.record) or record.output != windows.get(window, record.output):
            wrong.append(row.identity)
        if window in windows:
            seen[window] += 1
    return wrong, [window for window in windows if seen[window] != 1]


def read_cloud(url: str, *, token: str | None = None, timeout_s: float = 10.0) -> CloudView:
    """Read all rows and counts of a cloud.

    Raises:
        SinkError: it does not answer, or not as a tinyfleet cloud.
    """
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    try:
        with httpx.Client(base_url=url, headers=headers, timeout=timeout_s, trust_env=False) as client:
            rows: list[CloudRow] = []
            after = 0
            while True:
                page = _get(client, f"/v1/records?after={after}&limit={PAGE_RECORDS}")
                if not page["records"]:
                    break
                rows += [listed_row(r) for r in page["records"]]
                after = page["next"]
            summary = _get(client, "/v1/summary")
            devices = _get(client, "/v1/devices")["devices"]
            return CloudView(
                rows=tuple(rows),
                dropped={(bytes.fromhex(d["device_id"]), d["boot_id"]): d["dropped"] for d in devices},
                duplicated=summary["duplicated"],
                redelivered=summary["redelivered"],
                alarms=summary["alarms"],
            )
    except (httpx.HTTPError, KeyError, ValueError) as error:
        raise SinkError(
            f"cannot read the cloud at {url}: {error!r}", retryable=True, hint="is it a tinyfleet cloud, and running?"
        ) from error


def _get(client: httpx.Client, path: str) -> Any:
    response = client.get(path)
    response.raise_for_status()
    return response.json()


def listed_row(listed: Mapping[str, Any]) -> CloudRow:
    """A row as ``/v1/records`` lists it."""
    identity = RecordIdentity(bytes.fromhex(listed["device_id"]), listed["boot_id"], listed["seq"])
    model_id = None if listed["model_id"] is None else bytes.fromhex(listed["model_id"])
    return CloudRow(identity, base64.b64decode(listed["record"]), model_id)
