"""The outbox's tables, and what its callers hand in and get out."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from tinyfleet.telemetry import PRIORITY_SHIFT

OUTBOX_FILE = "outbox.db"
"""Name of the database in the gateway's data folder."""

MIGRATIONS = (
    """
    CREATE TABLE outbox (outbox_id BLOB NOT NULL);
    CREATE TABLE boot (
        device_id BLOB NOT NULL,
        boot_id INTEGER NOT NULL,
        next_seq INTEGER NOT NULL,
        pulled INTEGER NOT NULL DEFAULT 0,
        lost INTEGER NOT NULL DEFAULT 0,
        dropped INTEGER NOT NULL DEFAULT 0,
        reported_lost INTEGER NOT NULL DEFAULT 0,
        reported_dropped INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (device_id, boot_id)
    ) WITHOUT ROWID;
    CREATE TABLE record (
        entry INTEGER PRIMARY KEY AUTOINCREMENT,
        device_id BLOB NOT NULL,
        boot_id INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        record BLOB NOT NULL,
        time_utc_us INTEGER,
        time_error_us INTEGER,
        model_id BLOB,
        refused TEXT
    )
    """,
    """
    ALTER TABLE boot RENAME TO boot1;
    ALTER TABLE record RENAME TO record1;
    CREATE TABLE boot (
        id INTEGER PRIMARY KEY,
        device_id BLOB NOT NULL,
        boot_id INTEGER NOT NULL,
        next_seq INTEGER NOT NULL DEFAULT 0,
        pulled INTEGER NOT NULL DEFAULT 0,
        lost INTEGER NOT NULL DEFAULT 0,
        filtered INTEGER NOT NULL DEFAULT 0,
        UNIQUE (device_id, boot_id)
    );
    CREATE TABLE model (id INTEGER PRIMARY KEY, model_id BLOB NOT NULL UNIQUE);
    CREATE TABLE queue (
        entry INTEGER PRIMARY KEY,
        boot INTEGER,
        seq INTEGER,
        payload BLOB NOT NULL,
        sealed INTEGER NOT NULL,
        time_utc_us INTEGER,
        time_error_us INTEGER,
        model INTEGER,
        age_clock_s INTEGER NOT NULL,
        region TEXT,
        kind TEXT,
        number INTEGER,
        last_seq INTEGER,
        count INTEGER
    );
    CREATE TABLE lane (priority INTEGER PRIMARY KEY, next_entry INTEGER NOT NULL);
    CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE sink (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL UNIQUE,
        holds INTEGER NOT NULL,
        waiting INTEGER NOT NULL,
        refused INTEGER NOT NULL DEFAULT 0,
        delivered INTEGER NOT NULL DEFAULT 0,
        dropped INTEGER NOT NULL DEFAULT 0,
        filtered INTEGER NOT NULL DEFAULT 0
    );
    CREATE TABLE position (
        sink INTEGER NOT NULL, priority INTEGER NOT NULL, entry INTEGER NOT NULL, PRIMARY KEY (sink, priority)
    ) WITHOUT ROWID;
    CREATE TABLE aside (entry INTEGER NOT NULL, sink INTEGER NOT NULL, reason TEXT, PRIMARY KEY (entry, sink)) WITHOUT ROWID;
    CREATE TABLE account (
        sink INTEGER NOT NULL,
        boot INTEGER NOT NULL,
        dropped INTEGER NOT NULL DEFAULT 0,
        filtered INTEGER NOT NULL DEFAULT 0,
        reported_lost INTEGER NOT NULL DEFAULT 0,
        reported_dropped INTEGER NOT NULL DEFAULT 0,
        reported_filtered INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (sink, boot)
    ) WITHOUT ROWID;
    CREATE TABLE edge (boot INTEGER PRIMARY KEY, state BLOB NOT NULL, sealed INTEGER NOT NULL, region TEXT, age_clock_s INTEGER NOT NULL);
    INSERT INTO boot (device_id, boot_id, next_seq, pulled, lost) SELECT device_id, boot_id, next_seq, pulled, lost FROM boot1;
    INSERT OR IGNORE INTO model (model_id) SELECT model_id FROM record1 WHERE model_id IS NOT NULL;
    INSERT INTO queue (entry, boot, seq, payload, sealed, time_utc_us, time_error_us, model, age_clock_s)
        SELECT entry, boot.id, seq, record, 0, time_utc_us, time_error_us, model.id, 0
        FROM record1 JOIN boot USING (device_id, boot_id) LEFT JOIN model USING (model_id) ORDER BY entry;
    INSERT INTO lane SELECT 0, 1 + coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'record1'), 0);
    INSERT INTO sink (name, holds, waiting) SELECT '', 1, count(*) FROM record1;
    INSERT INTO account (sink, boot, dropped, reported_lost, reported_dropped)
        SELECT sink.id, boot.id, boot1.dropped, reported_lost, reported_dropped FROM sink, boot1 JOIN boot USING (device_id, boot_id);
    DROP TABLE boot1;
    DROP TABLE record1
    """,
    """
    ALTER TABLE edge ADD COLUMN is_open INTEGER NOT NULL DEFAULT 1;
    CREATE TABLE action (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        target TEXT NOT NULL,
        is_command INTEGER NOT NULL,
        boot INTEGER NOT NULL,
        number INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        body BLOB NOT NULL,
        sealed INTEGER NOT NULL,
        time_utc_us INTEGER,
        time_error_us INTEGER,
        age_clock_s INTEGER NOT NULL
    );
    CREATE INDEX action_of_target ON action (target, id);
    CREATE INDEX command_of_boot ON action (boot, id) WHERE is_command;
    CREATE TABLE target (
        name TEXT PRIMARY KEY,
        waiting INTEGER NOT NULL DEFAULT 0,
        waiting_bytes INTEGER NOT NULL DEFAULT 0,
        done INTEGER NOT NULL DEFAULT 0,
        given_up INTEGER NOT NULL DEFAULT 0,
        dropped INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID;
    CREATE TABLE capture (
        boot INTEGER NOT NULL, seq INTEGER NOT NULL, time_utc_us INTEGER, time_error_us INTEGER, model INTEGER, PRIMARY KEY (boot, seq)
    ) WITHOUT ROWID;
    CREATE TABLE captured (
        device_id BLOB PRIMARY KEY,
        wanted INTEGER NOT NULL DEFAULT 0,
        fetched INTEGER NOT NULL DEFAULT 0,
        gone INTEGER NOT NULL DEFAULT 0,
        over_budget INTEGER NOT NULL DEFAULT 0,
        not_kept INTEGER NOT NULL DEFAULT 0,
        given_up INTEGER NOT NULL DEFAULT 0,
        bytes INTEGER NOT NULL DEFAULT 0,
        day INTEGER NOT NULL DEFAULT 0,
        day_bytes INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID
    """,
)
"""``boot``: the cursor (``next_seq``) and the totals of one boot of one device. ``queue``: what waits; ``kind`` is NULL for a device's
own record. ``sink``: a place in the queue and its totals, in entries; the first sink takes over the nameless one. ``position``: everything
up to it is delivered, dropped, withheld, or in ``aside``: not answered (no reason, offered again) or refused. ``account``: what a sink will
never get of a boot, in records, and how much of that it was told. ``edge``: what the edge remembers of a boot, records of an open window
among it, which are in no total until it closes; ``is_open``: there is such a window. ``action``: what rules want done and is not done yet,
``number`` being that of the detection. ``target``: who does it, and its totals. ``capture``: windows that are wanted of devices and are not
fetched yet. ``captured``: what became of such wishes, and the bytes of the last day on which one was fetched."""

LANES = 8
"""Priorities are 0 to 7; 0 is normal and the first to be dropped."""
GAP = "gap"
"""Kind of a derived record: a device no longer had these records. Nothing is missing when it is dropped: the loss report says so too."""
ALARM = "alarm"
"""Kind of a derived record: something is wrong with the gateway itself. Its body has ``reason`` and ``detail``."""
ALARM_PRIORITY = 1
WEIGHT = f"CASE WHEN kind IS NULL THEN 1 WHEN kind = '{GAP}' THEN 0 ELSE count END"
"""SQL: how many of a device's records are gone when this entry is."""


class WhenFull(enum.StrEnum):
    """What happens when the outbox reaches its bound in bytes."""

    DROP_OLDEST = "drop_oldest"
    """The oldest entries of the lowest priority go; each is counted for every sink that did not have it, and reported to that sink."""
    STOP_PULLING = "stop_pulling"
    """Nothing is pulled until there is room; the device's ring overwrites its oldest, counts them, and they are reported."""


class OutboxFull(Exception):
    """The outbox is at its bound and its policy is to stop pulling."""


class CursorMoved(Exception):
    """Somebody else committed records of this boot since the cursor was read; read it again."""


@dataclass(frozen=True, slots=True)
class SinkPlace:
    """One sink as the outbox knows it.

    Attributes:
        name: Its place goes by it, also after a restart.
        holds: Whether an entry is kept until this sink has it.
        region: Entries with a region go only to sinks of the same region; None: to this sink go only entries without one.
    """

    name: str
    holds: bool = True
    region: str | None = None


@dataclass(frozen=True, slots=True)
class PulledRecord:
    """One record as pulled: its place in the boot, its bytes, and what the gateway knows about it."""

    seq: int
    record: bytes
    time_utc_us: int | None
    time_error_us: int | None
    model_id: bytes | None
    priority: int = 0


@dataclass(frozen=True, slots=True)
class NewDerived:
    """A derived record to be; see :class:`tinyfleet.telemetry.DerivedEnvelope`, the number is given by the outbox.

    Attributes:
        targets: Who is to act because of it, by names that :meth:`ActionQueue.configure` was given.
    """

    kind: str
    body: bytes
    first_seq: int | None = None
    last_seq: int | None = None
    count: int = 0
    time_utc_us: int | None = None
    time_error_us: int | None = None
    model_id: bytes | None = None
    priority: int = 0
    targets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WantedWindow:
    """A record whose window is to be fetched, with what the gateway knows about the record."""

    seq: int
    time_utc_us: int | None
    time_error_us: int | None
    model_id: bytes | None


@dataclass(frozen=True, slots=True)
class EdgeChange:
    """What the edge remembers of a boot, before and after some records; None: nothing.

    Attributes:
        is_open: Whether records wait in it for a derived record that stands for them.
    """

    before: bytes | None
    after: bytes | None
    is_open: bool = True


@dataclass(frozen=True, slots=True)
class BootState:
    """Cursor and totals of one boot of one device.

    Attributes:
        lost: Overwritten on the device before they were pulled.
        dropped: Removed from the outbox before some sink had them: the most of any sink.
        filtered: Left out on purpose at the edge.
    """

    device_id: bytes
    boot_id: int
    next_seq: int
    pulled: int
    lost: int
    dropped: int
    filtered: int = 0


@dataclass(frozen=True, slots=True)
class SinkDepth:
    """One sink's place, in entries. Since the sink is known: entries = waiting + refused + delivered + dropped + filtered.

    Attributes:
        waiting: To be delivered.
        refused: The other end refused them; kept for a sink that holds, and offered again after a restart.
        delivered: Accepted.
        dropped: Removed before it had them.
        filtered: Withheld from it on purpose.
    """

    name: str
    holds: bool
    waiting: int
    refused: int
    delivered: int
    dropped: int
    filtered: int


@dataclass(frozen=True, slots=True)
class TargetTotals:
    """What became of what rules wanted of one target, since it is known.

    Attributes:
        name: ``RULE/webhook``, ``RULE/mqtt`` or ``RULE/device``.
        waiting: To be done.
        done: Taken by the target.
        given_up: The target will never take them.
        dropped: Too many or too old.
    """

    name: str
    waiting: int
    done: int
    given_up: int
    dropped: int


@dataclass(frozen=True, slots=True)
class CaptureTotals:
    """What became of the windows that were wanted of one device. Those that are in no other number wait: ``waiting``.

    Attributes:
        fetched: In the queue, or on from there.
        gone: The device no longer had them.
        over_budget: The day's bytes were spent.
        not_kept: The device's firmware keeps none.
        given_up: Too many waited, or too large, or not handed out, or no longer wanted.
        bytes: Of windows that were fetched.
        day: The last day on which one was, counted from 1970 in UTC.
        day_bytes: Of those of that day.
    """

    device_id: bytes
    wanted: int
    fetched: int
    gone: int
    over_budget: int
    not_kept: int
    given_up: int
    bytes: int
    day: int
    day_bytes: int

    @property
    def waiting(self) -> int:
        """To be fetched."""
        return self.wanted - self.fetched - self.gone - self.over_budget - self.not_kept - self.given_up


@dataclass(frozen=True, slots=True)
class Depth:
    """How full the outbox is.

    Attributes:
        waiting: Entries to be delivered to the sink that has the most to come, of those that hold entries (if there are).
        refused: Of the same sink.
        used_bytes: Bytes in use in the database, what the bound applies to.
        sinks: Each sink's place.
        targets: What rules want done.
        captures: Windows that were wanted of devices.
        edges_put_aside: States of the edge that were damaged.
    """

    waiting: int
    refused: int
    used_bytes: int
    sinks: tuple[SinkDepth, ...] = ()
    targets: tuple[TargetTotals, ...] = ()
    captures: tuple[CaptureTotals, ...] = ()
    edges_put_aside: int = 0


@dataclass(frozen=True, slots=True)
class OutboxState:
    """What a running gateway tells who watches it.

    Attributes:
        oldest_age_s: Of the entry that waits longest, in seconds that gateways ran on this file; 0 when none waits.
        pulled: Records of all boots.
        lost: Records that devices overwrote before they were pulled.
        filtered: Records left out on purpose.
    """

    depth: Depth
    oldest_age_s: float
    pulled: int
    lost: int
    filtered: int


def lane_of(entry: int) -> int:
    """Priority of an entry."""
    return entry >> PRIORITY_SHIFT


def lane_start(priority: int) -> int:
    """Every entry of the priority is above this."""
    return priority << PRIORITY_SHIFT
