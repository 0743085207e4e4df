"""Windows of unsure answers: fetched between pulls, each counted once, within the day's bytes, and never at a record's expense."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from smp.header import OP

from tests.gateway.fake_board import MODEL_ID, FakeBoard
from tests.gateway.processes import wait_until
from tests.gateway.test_puller import Bench, bench_in
from tests.host.peer import tcp_peer
from tests.support.mutate import mutate_text
from tests.support.no_loss import Holdings, Range, Verdict, judge
from tests.support.witness import Trace
from tinyfleet.device import open_device
from tinyfleet.gateway.config import DeviceSettings, load_config
from tinyfleet.gateway.edge import CaptureSettings, PolicySettings, Visibility
from tinyfleet.gateway.edge.capture import MOST_ATTEMPTS, WindowFetcher, is_on
from tinyfleet.gateway.edge.edge import confidence
from tinyfleet.gateway.metrics import exposition
from tinyfleet.gateway.outbox import NewDerived, Outbox, OutboxFull, PulledRecord, SinkPlace, WantedWindow, WhenFull
from tinyfleet.gateway.outbox_captures import DAY_S, MOST_WAITING, Captures, Outcome
from tinyfleet.gateway.outbox_inspect import inspect_outbox
from tinyfleet.gateway.outbox_schema import CaptureTotals, Depth, OutboxState
from tinyfleet.gateway.puller import Puller
from tinyfleet.gateway.service import describe_edge
from tinyfleet.gateway.status import DeviceStatus, GatewayStatus
from tinyfleet.telemetry import DerivedEnvelope, Envelope
from tinyfleet_codegen.errors import ConfigError
from tinyfleet_codegen.wire.ids import Command, DType, SmpGroup, Status
from tinyfleet_codegen.wire.record import decode_record

UNSURE = CaptureSettings(below_confidence=0.8, budget_bytes_per_day=10**6)
PIECE_BYTES = 700
GROUP = int(SmpGroup.TINYFLEET)


class WindowBoard(FakeBoard):
    """Keeps the windows of its last records.

    Args:
        kept: How many.
        window_bytes: Of one.

    Attributes:
        asked: Commands that came: ``results``, or (seq, off) of a window.
        answers: What it says to a request for a window instead, if anything; None: no answer at all.
    """

    def __init__(self, *, kept: int = 10_000, window_bytes: int = 1200) -> None:
        super().__init__(b"of windows no. 3")  # records, and of which it is unsure, follow from it
        self.kept = kept
        self.window_bytes = window_bytes
        self.asked: list[Any] = []
        self.answers: Callable[[int, int], dict[str, Any] | None] | None = None
        self._answer_to(Command.WINDOW, self._window)
        pull = self.handlers[OP.READ, GROUP, int(Command.RESULTS)]

        def results(request: dict[str, Any]) -> dict[str, Any] | None:
            self.asked.append("results")
            return pull(request)

        self._answer_to(Command.RESULTS, results)

    def window(self, seq: int) -> bytes:
        """What record ``seq`` was made from."""
        return bytes((seq + i) % 256 for i in range(self.window_bytes))

    def unsure(self) -> set[int]:
        """Records of this boot below 0.8."""
        records = [decode_record(data) for (boot, _), data in self.history.items() if boot == self.boot_id]
        sure = {record.seq: confidence(record, DType.INT8) for record in records}
        return {seq for seq, share in sure.items() if share is not None and share < 0.8}

    def _window(self, request: dict[str, Any]) -> dict[str, Any] | None:
        seq, off = request["seq"], request["off"]
        self.asked.append((seq, off))
        if self.answers is not None:
            return self.answers(seq, off)
        if request["boot_id"] != self.boot_id or seq >= self.produced:
            return {"err": {"group": GROUP, "rc": -Status.ERR_ARG}}
        if seq < self.produced - self.kept:
            return {"err": {"group": GROUP, "rc": -Status.ERR_GONE}}
        data = self.window(seq)
        return {"off": off, "data": data[off : off + PIECE_BYTES], "len": len(data), "dtype": int(DType.INT16), "channels": 6}


def pull(bench: Bench, url: str, capture: CaptureSettings | None = UNSURE, *, timeout_s: float = 5.0, region: str | None = None) -> None:
    settings = DeviceSettings(url=url, timeout_s=timeout_s, poll_s=0.01, max_records=7, region=region)
    puller = Puller(
        settings,
        opener=open_device,
        store=bench.store,
        on_commit=lambda: None,
        claims=bench.claims,
        status=DeviceStatus(url),
        capture=capture,
    )
    bench.tasks.append(asyncio.create_task(puller.run()))


async def totals(bench: Bench, wanted: int) -> CaptureTotals:
    """Of the one device; once so many wishes were made and have ended."""

    async def found() -> tuple[CaptureTotals, ...]:
        return (await bench.store.call(lambda outbox: outbox.depth())).captures

    async def is_done() -> bool:
        return bool(captures := await found()) and captures[0].wanted >= wanted and captures[0].waiting == 0

    await wait_until(is_done, "every wish to end")
    (of_device,) = await found()
    return of_device


async def entries(bench: Bench) -> list[Envelope | DerivedEnvelope]:
    return list((await bench.store.call(lambda outbox: outbox.batch("http", 5000, 2**30))).envelopes)


async def test_windows_of_unsure_answers_follow_their_records_and_those_of_sure_ones_are_not_fetched(tmp_path: Path) -> None:
    board = WindowBoard()
    board.produce(40)
    unsure = board.unsure()
    assert 5 < len(unsure) < 35
    async with tcp_peer(board) as (url, _), bench_in(tmp_path) as bench:
        pull(bench, url)
        await bench.wait_for_rows(40)
        counts = await totals(bench, len(board.unsure()))
        queued = await entries(bench)
    records = {e.identity.seq: e for e in queued if isinstance(e, Envelope)}
    windows = [e for e in queued if isinstance(e, DerivedEnvelope)]
    assert len(records) == 40 and sorted(str(w.first_seq) for w in windows) == sorted(map(str, unsure))
    assert {asked[0] for asked in board.asked if asked != "results"} == unsure
    for window in windows:
        assert window.first_seq is not None
        record = records[window.first_seq]
        assert (window.kind, window.last_seq, window.count, window.model_id) == ("capture", window.first_seq, 0, MODEL_ID)
        assert (window.time_utc_us, window.time_error_us) == (record.time_utc_us, record.time_error_us)
        assert window.entry > record.entry
        body = json.loads(window.body)
        assert base64.b64decode(body.pop("data")) == board.window(window.first_seq)
        assert body == {"dtype": "int16", "channels": 6, "needs_state": False}
    assert (counts.wanted, counts.fetched, counts.bytes) == (len(unsure), len(unsure), len(unsure) * board.window_bytes)


async def test_classes_that_are_named_are_fetched_however_sure(tmp_path: Path) -> None:
    board = WindowBoard()
    board.produce(30)
    named = sum(decode_record(data).top in (2, 4) for data in board.history.values())
    async with tcp_peer(board) as (url, _), bench_in(tmp_path) as bench:
        pull(bench, url, CaptureSettings(classes=(2, 4)))
        await bench.wait_for_rows(30)
        assert (await totals(bench, named)).fetched == named > 3


def pulls_between_windows(asked: list[Any]) -> bool:
    """Whether the device was pulled between any two requests for windows."""
    return all("results" in pair for pair in itertools.pairwise(asked))


async def test_between_two_pieces_the_device_is_pulled_and_the_newest_window_comes_first(tmp_path: Path) -> None:
    board = WindowBoard(window_bytes=3000)
    board.produce(20)
    newest = max(board.unsure())
    async with tcp_peer(board) as (url, _), bench_in(tmp_path) as bench:
        pull(bench, url)
        await totals(bench, len(board.unsure()))
    assert pulls_between_windows(board.asked)
    # The pull that found it was the last of the records: before that, others were under way.
    begun = [asked[0] for asked in board.asked if asked != "results" and asked[1] == 0]
    assert sorted(begun) == sorted(board.unsure()) and begun.index(newest) < len(begun) / 2


async def test_a_fetch_that_does_not_let_pulls_in_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step = "await self._windows.step(device)"
    assert mutate_text(monkeypatch, Puller._session, step, f"while self._windows.is_waiting: {step}")
    board = WindowBoard(window_bytes=3000)
    board.produce(20)
    async with tcp_peer(board) as (url, _), bench_in(tmp_path) as bench:
        pull(bench, url)
        await totals(bench, len(board.unsure()))
    assert not pulls_between_windows(board.asked)


async def test_windows_that_are_gone_are_counted_and_asked_for_once(tmp_path: Path) -> None:
    board = WindowBoard(kept=6)
    board.produce(60)
    unsure = board.unsure()
    async with tcp_peer(board) as (url, _), bench_in(tmp_path) as bench:
        pull(bench, url)
        rows = await bench.wait_for_rows(60)
        counts = await totals(bench, len(board.unsure()))
    assert len(rows) == 60
    assert counts.wanted == len(unsure) and counts.fetched == len([seq for seq in unsure if seq >= 54])
    assert counts.gone == counts.wanted - counts.fetched > 0
    begun = [asked[0] for asked in board.asked if asked != "results" and asked[1] == 0]
    assert len(begun) == len(set(begun))


async def test_a_device_that_keeps_no_windows_is_asked_once_a_boot(tmp_path: Path) -> None:
    board = WindowBoard()
    board.answers = lambda _seq, _off: {"rc": 8}
    board.produce(30)
    async with tcp_peer(board) as (url, _), bench_in(tmp_path) as bench:
        pull(bench, url)
        await bench.wait_for_rows(30)
        counts = await totals(bench, len(board.unsure()))
    assert counts.not_kept == counts.wanted == len(board.unsure())
    assert sum(asked != "results" for asked in board.asked) == 1


async def test_a_device_that_does_not_answer_is_given_up_and_its_records_come(tmp_path: Path) -> None:
    board = WindowBoard()
    board.produce(10)
    silent = max(board.unsure())
    board.answers = lambda seq, off: None if seq == silent else {"off": off, "data": b"ab", "len": 2, "dtype": 7, "channels": 0}
    async with tcp_peer(board) as (url, _), bench_in(tmp_path) as bench:
        pull(bench, url, timeout_s=1.0)
        await bench.wait_for_rows(10)
        counts = await totals(bench, len(board.unsure()))
    assert counts.given_up >= 1 and counts.fetched + counts.given_up == counts.wanted == len(board.unsure())
    # Each attempt is one request and its repetition.
    assert MOST_ATTEMPTS <= sum(asked == (silent, 0) for asked in board.asked) <= 2 * MOST_ATTEMPTS


@pytest.mark.parametrize(
    "piece",
    [
        {"off": 1, "data": b"ab", "len": 2, "dtype": 7, "channels": 1},
        {"off": 0, "data": b"", "len": 2, "dtype": 7, "channels": 1},
        {"off": 0, "data": b"abc", "len": 2, "dtype": 7, "channels": 1},
        {"off": 0, "data": b"abc", "len": 9, "dtype": 7, "channels": 2},
        {"off": 0, "data": b"ab", "len": 2**31, "dtype": 7, "channels": 1},
        {"off": 0, "data": b"ab", "len": 2, "dtype": 5, "channels": 1},
        {"off": 0, "data": b"ab", "len": 200_000, "dtype": 7, "channels": 1},
    ],
)
async def test_nonsense_and_what_is_too_large_is_given_up(tmp_path: Path, piece: dict[str, Any]) -> None:
    board = WindowBoard()
    board.answers = lambda _seq, _off: piece
    board.produce(8)
    async with tcp_peer(board) as (url, _), bench_in(tmp_path) as bench:
        pull(bench, url)
        rows = await bench.wait_for_rows(8)
        counts = await totals(bench, len(board.unsure()))
    assert len(rows) == 8 and counts.given_up == counts.wanted > 0


async def test_the_days_bytes_stop_it(tmp_path: Path) -> None:
    board = WindowBoard()
    board.produce(40)
    async with tcp_peer(board) as (url, _), bench_in(tmp_path) as bench:
        pull(bench, url, CaptureSettings(below_confidence=0.8, budget_bytes_per_day=3 * board.window_bytes + 1))
        await bench.wait_for_rows(40)
        counts = await totals(bench, len(board.unsure()))
    assert (counts.fetched, counts.day_bytes) == (3, 3 * board.window_bytes)
    assert counts.over_budget == counts.wanted - 3 == len(board.unsure()) - 3


async def test_after_a_restart_of_the_device_what_it_had_is_gone(tmp_path: Path) -> None:
    board = WindowBoard()
    board.produce(20)
    wanted = len(board.unsure())
    async with tcp_peer(board) as (url, cut), bench_in(tmp_path) as bench:
        board.answers = lambda _seq, _off: None
        pull(bench, url, timeout_s=1.0)
        await bench.wait_for_rows(20)
        board.restart()
        board.answers = None
        board.produce(15)
        wanted += len(board.unsure())
        cut()
        await bench.wait_for_rows(35)
        counts = await totals(bench, wanted)
    assert counts.wanted == wanted and counts.gone + counts.given_up + counts.fetched == wanted and counts.fetched == len(board.unsure())


async def test_windows_go_only_where_their_device_may(tmp_path: Path) -> None:
    board = WindowBoard()
    board.produce(20)
    async with tcp_peer(board) as (url, _), bench_in(tmp_path) as bench:
        places = [SinkPlace("http"), SinkPlace("eu", region="eu")]
        bounds = {"max_bytes": 2**28, "max_age_s": None, "when_full": WhenFull.DROP_OLDEST}
        await bench.store.call(lambda outbox: outbox.configure(places, **bounds))
        pull(bench, url, region="eu")
        counts = await totals(bench, len(board.unsure()))
        assert await entries(bench) == []
        sent = await bench.store.call(lambda outbox: outbox.batch("eu", 5000, 2**30))
    assert sum(isinstance(e, DerivedEnvelope) for e in sent.envelopes) == counts.fetched > 0


def test_policy_decides_whether_windows_are_fetched_at_all() -> None:
    assert is_on(UNSURE, PolicySettings()) and not is_on(None, PolicySettings())
    assert is_on(UNSURE, PolicySettings(latency=Visibility.NEVER))
    for name in ("samples", "output", "classes", "confidence"):
        assert not is_on(UNSURE, PolicySettings(**{name: Visibility.NEVER}))
    # The samples are in no record.
    assert PolicySettings(samples=Visibility.NEVER).lets_records_out()


def config(folder: Path, text: str) -> Path:
    path = folder / "gateway.toml"
    head = '[gateway]\nid = "g"\ndata_dir = "d"\n[[device]]\nurl = "tcp://h:1"\n[[sink]]\ntype = "file"\nfolder = "f"\n'
    path.write_text(f"version = 2\n{head}{text}", encoding="utf-8")
    return path


def test_the_configuration_is_checked_and_shown(tmp_path: Path) -> None:
    good = load_config(config(tmp_path, "[capture]\nbelow_confidence = 0.6\nclasses = [3]\nbudget_bytes_per_day = 5000\n"))
    assert "windows of records with below_confidence 0.6 or classes 3 are fetched, 5000 bytes a day of each device" in describe_edge(good)
    kept = load_config(config(tmp_path, '[capture]\nbelow_confidence = 0.6\n[policy]\nsamples = "never"\n'))
    shown = describe_edge(kept)
    assert "no window is fetched: [policy] keeps what is in it" in shown and "never leaves this gateway: samples" in shown
    assert "every record is delivered" in shown
    for text, expected in (
        ("[capture]\nbelow_confidence = 1.5", "capture.below_confidence = 1.5: allowed: confidence below which"),
        ("[capture]\nclasses = []", r"capture.classes = \[\]: allowed: numbers of classes"),
        ("[capture]\nclasses = [255]", "= 255: allowed: "),
        (
            "[capture]\nbelow_confidence = 0.5\nbudget_bytes_per_day = 0",
            "capture.budget_bytes_per_day = 0: allowed: bytes of windows of each",
        ),
        ("[capture]\nbudget_bytes_per_day = 5", "capture.below_confidence: missing; allowed: this, or classes, or both"),
        ("[capture]\nbelow_confidense = 0.5", "capture.below_confidense: unknown key; did you mean below_confidence"),
        ('[policy]\nsamples = "summary"', "policy.samples = 'summary': allowed: 'raw' or 'never'; a tensor has no summary"),
    ):
        with pytest.raises(ConfigError, match=expected):
            load_config(config(tmp_path, text + "\n"))


def test_the_judge_of_the_campaign_counts_windows_apart_from_records_and_sees_wrong_ones() -> None:
    boot = (b"d" * 16, 1)
    trace = Trace({(1, seq): seq for seq in range(4)})

    def judged(*captured: int) -> Verdict:
        ranges = [Range("capture", seq, seq, 0) for seq in captured]
        return judge({boot[0]: trace}, Holdings({boot: {seq: seq for seq in range(4)}}, {}, {boot: ranges}), ring_records=10)

    good = judged(0, 3)
    assert (good.findings, good.captured, good.stored, good.covered, good.lost) == ([], 2, 4, 0, 0)
    assert any("never made" in finding for finding in judged(0, 4).findings)
    assert any("more than once" in finding for finding in judged(2, 2).findings)


def test_metrics_tell_what_became_of_windows_and_what_the_day_has_cost() -> None:
    today = int(time.time() // DAY_S)
    of_two = (CaptureTotals(b"a" * 16, 9, 4, 1, 2, 0, 0, 400, today, 100), CaptureTotals(b"b" * 16, 1, 1, 0, 0, 0, 0, 50, today - 1, 50))
    text = exposition(GatewayStatus("g"), OutboxState(Depth(0, 0, 0, captures=of_two), 0.0, 0, 0, 0), 1).decode()
    device = f'device_id="{(b"a" * 16).hex()}"'
    for line in (
        f"tinyfleet_windows_wanted_total{{{device}}} 9.0",
        f'tinyfleet_windows_ended_total{{{device},outcome="over_budget"}} 2.0',
        f'tinyfleet_windows_ended_total{{{device},outcome="fetched"}} 4.0',
        f"tinyfleet_windows_waiting{{{device}}} 2.0",
        f"tinyfleet_windows_bytes_total{{{device}}} 400.0",
        f"tinyfleet_windows_spent_bytes{{{device}}} 100.0",
        f'tinyfleet_windows_spent_bytes{{device_id="{(b"b" * 16).hex()}"}} 0.0',
    ):
        assert line in text.splitlines()


# The outbox: each wish ends once, whatever is killed.

DEVICE = b"captures" * 2


def opened(folder: Path, **more: Any) -> Outbox:
    return Outbox(folder / "outbox.db", gateway_id="g", **more)


def append(outbox: Outbox, seqs: range, boot_id: int = 1) -> None:
    board = FakeBoard(DEVICE)
    board.boot_id = boot_id
    board.produce(seqs.stop)
    pulled = [PulledRecord(seq, board.history[boot_id, seq], 10**15 + seq, 5, MODEL_ID) for seq in seqs]
    wanted = [WantedWindow(seq, 10**15 + seq, 5, MODEL_ID) for seq in seqs]
    outbox.append(DEVICE, boot_id, pulled, since=seqs.start, next_seq=seqs.stop, lost=0, wanted=wanted)


def keep(outbox: Outbox, seq: int, *, size: int = 100, day: int = 7, budget: int = 1000, boot_id: int = 1) -> Outcome | None:
    derived = NewDerived("capture", b"{}", first_seq=seq, last_seq=seq)
    return outbox.captures.keep(DEVICE, boot_id, derived, window_bytes=size, day=day, budget_bytes=budget, region=None)


def of(outbox: Outbox) -> CaptureTotals:
    (found,) = outbox.depth().captures
    return found


def fetch_and_be_killed(folder: Path) -> tuple[list[Outcome | None], CaptureTotals, int]:
    """Each window is offered by two processes: the first was killed when it had committed, or just before."""
    first = opened(folder)
    append(first, range(12))
    outcomes = [keep(first, seq) for seq in (11, 10, 9)]
    first.close()
    second = opened(folder)
    assert [w.seq for w in second.captures.begin(DEVICE, 1)] == list(range(9))
    outcomes += [keep(second, seq) for seq in reversed(range(12))]
    counts, queued = of(second), sum(isinstance(e, DerivedEnvelope) for e in second.batch("http", 5000, 2**30).envelopes)
    second.close()
    return outcomes, counts, queued


def test_a_kill_neither_doubles_nor_forgets_a_window_nor_its_bytes(tmp_path: Path) -> None:
    outcomes, counts, queued = fetch_and_be_killed(tmp_path)
    assert outcomes == [Outcome.FETCHED] * 3 + [None] * 3 + [Outcome.FETCHED] * 7 + [Outcome.OVER_BUDGET] * 2
    assert (counts.wanted, counts.fetched, counts.over_budget, counts.waiting) == (12, 10, 2, 0)
    assert queued == counts.fetched and (counts.bytes, counts.day_bytes) == (1000, 1000)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        # The wish stays: another process fetches it again.
        ('self._end("boot = ? AND seq = ?", (row[0], derived.first_seq), outcome)', "pass"),
        # A window that nobody waits for is queued.
        ("if row is None:\n            return None\n", "row = row or (1,)\n"),
        # The bytes are only in memory, or nowhere.
        ("day_bytes = CASE day WHEN ? THEN day_bytes ELSE 0 END + ?", "day_bytes = CASE day WHEN ? THEN day_bytes ELSE 0 END + 0 * ?"),
        ("self.spent_bytes(device_id, day) + window_bytes <= budget_bytes", "window_bytes <= budget_bytes"),
        # Counted, and not queued.
        ("self._queue(row[0], [derived], region)", "pass"),
    ],
)
def test_a_wrong_account_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str, after: str) -> None:
    assert mutate_text(monkeypatch, Captures.keep, before, after)
    with pytest.raises(AssertionError):
        test_a_kill_neither_doubles_nor_forgets_a_window_nor_its_bytes(tmp_path)


def test_the_budget_begins_anew_with_the_day_and_outlives_a_restart(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    append(outbox, range(6))
    assert keep(outbox, 0, budget=150, day=20000) is Outcome.FETCHED
    outbox.close()
    outbox = opened(tmp_path)
    assert outbox.captures.spent_bytes(DEVICE, 20000) == 100 and outbox.captures.spent_bytes(DEVICE, 20001) == 0
    assert keep(outbox, 1, budget=150, day=20000) is Outcome.OVER_BUDGET
    assert keep(outbox, 2, budget=150, day=20001) is Outcome.FETCHED
    assert keep(outbox, 3, budget=150, day=20001) is Outcome.OVER_BUDGET
    # A clock that was set back starts a day as well: it must not stop everything until the day comes again.
    assert keep(outbox, 4, budget=150, day=19000) is Outcome.FETCHED
    assert (of(outbox).bytes, of(outbox).day_bytes, of(outbox).waiting) == (300, 100, 1)
    outbox.close()
    assert inspect_outbox(tmp_path / "outbox.db")[0].captures == (CaptureTotals(DEVICE, 6, 3, 0, 2, 0, 0, 300, 19000, 100),)


def test_of_too_many_wishes_the_oldest_are_given_up(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    append(outbox, range(MOST_WAITING))
    append(outbox, range(MOST_WAITING, MOST_WAITING + 30))
    assert [w.seq for w in outbox.captures.begin(DEVICE, 1)] == list(range(30, MOST_WAITING + 30))
    assert (of(outbox).given_up, of(outbox).waiting) == (30, MOST_WAITING)
    assert outbox.captures.begin(DEVICE, 2) == [] and of(outbox).gone == MOST_WAITING
    outbox.close()


def test_a_full_outbox_that_stops_pulling_takes_no_window_and_forgets_no_wish(tmp_path: Path) -> None:
    outbox = opened(tmp_path, max_bytes=2**18, when_full=WhenFull.STOP_PULLING)
    append(outbox, range(5))
    at = 5
    with pytest.raises(OutboxFull):
        while True:
            append(outbox, range(at, at + 50))
            at += 50
    with pytest.raises(OutboxFull):
        keep(outbox, at - 1)
    assert (of(outbox).fetched, of(outbox).day_bytes) == (0, 0)
    assert of(outbox).waiting + of(outbox).given_up == at
    outbox.close()


async def test_a_window_that_was_fetched_waits_for_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_it, refused = Captures.keep, []

    def full_at_first(self: Captures, *where: Any, **what: Any) -> Outcome | None:
        if not refused:
            refused.append(what)
            raise OutboxFull
        return keep_it(self, *where, **what)

    monkeypatch.setattr(Captures, "keep", full_at_first)
    board = WindowBoard()
    board.produce(10)
    async with tcp_peer(board) as (url, _), bench_in(tmp_path) as bench:
        pull(bench, url)
        counts = await totals(bench, len(board.unsure()))
    assert refused and counts.fetched == counts.wanted == len(board.unsure())
    # No piece was fetched again.
    pieces = [asked for asked in board.asked if asked != "results"]
    assert len(pieces) == len(set(pieces)) == 2 * counts.wanted


async def test_what_an_earlier_configuration_wanted_is_given_up(tmp_path: Path) -> None:
    async with bench_in(tmp_path) as bench:
        await bench.store.call(lambda outbox: append(outbox, range(4)))
        fetcher = WindowFetcher(None, store=bench.store, region=None, on_commit=lambda: None)
        await fetcher.begin(DEVICE, 1)
        assert not fetcher.is_waiting
        assert (await totals(bench, 4)).given_up == 4
