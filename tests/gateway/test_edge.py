"""The edge: a record is delivered, covered by a window or filtered, exactly one of them; and what may not leave does not."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.gateway.fake_board import MODEL_ID, FakeBoard
from tests.gateway.processes import wait_until
from tests.gateway.pulling import pulling
from tests.host.peer import tcp_peer
from tinyfleet.gateway.config import GatewayConfig, load_config
from tinyfleet.gateway.edge import Edge, FilterSettings, PolicySettings, RuleSettings, Visibility, WindowSettings
from tinyfleet.gateway.edge.edge import Processed, confidence
from tinyfleet.gateway.outbox import CursorMoved, NewDerived, Outbox, PulledRecord
from tinyfleet.gateway.outbox_schema import EdgeChange
from tinyfleet.gateway.service import describe_edge
from tinyfleet.gateway.store_thread import StoreThread
from tinyfleet_codegen.errors import ConfigError, StoreError
from tinyfleet_codegen.wire.ids import DType
from tinyfleet_codegen.wire.record import TOP_NONE, Record

DEVICE = b"edge" * 4
DTYPES = {1: DType.INT8, 2: DType.UINT8}


def record(seq: int, *, top: int = 0, share: float = 0.5, at_s: float | None = None, generation: int = 1, stream: int = 0) -> Record:
    """A record whose best element stands at ``share`` of its type's range."""
    level = min(255, round(share * 256))
    output = bytearray([0x80 if generation == 1 else 0] * 6)
    if top != TOP_NONE:
        output[top] = level ^ 0x80 if generation == 1 else level
    uptime_us = round((seq * 0.1 if at_s is None else at_s) * 1e6)
    return Record(1, seq, stream, seq * 25, 900 + seq, uptime_us, generation, top, bytes(output))


def pulled(records: Sequence[Record]) -> list[PulledRecord]:
    return [PulledRecord(r.seq, r.encode(), 10**15 + r.uptime_us, 50, bytes([r.model_generation]) * 32) for r in records]


def run(edge: Edge, records: Sequence[Record], cuts: Sequence[int] = (), state: bytes | None = None) -> Processed:
    """All of it, pulled in pieces, and the last window closed."""
    whole = Processed([], [], 0, None)
    edges = [0, *sorted(cuts), len(records)]
    for first, last in itertools.pairwise(edges):
        piece = records[first:last]
        made = edge.process(state, pulled(piece), piece, DTYPES)
        if made.change is not None:
            assert made.change.before == state
            state = made.change.after
        whole = Processed(whole.records + made.records, whole.derived + made.derived, whole.filtered + made.filtered, None)
    if state is not None:
        closed, _ = edge.close(state)
        whole.derived.extend(closed)
    return whole


def windows(made: Processed) -> list[NewDerived]:
    return [d for d in made.derived if d.kind == "window"]


records_drawn = st.lists(
    st.tuples(st.sampled_from([0, 1, 2, 5, TOP_NONE]), st.floats(0, 1), st.floats(0, 2), st.sampled_from([1, 2]), st.integers(0, 1)),
    max_size=40,
).map(
    lambda rows: [
        record(seq, top=top, share=share, at_s=sum(r[2] for r in rows[: seq + 1]), generation=generation, stream=stream)
        for seq, (top, share, _, generation, stream) in enumerate(rows)
    ]
)
filters = st.none() | st.builds(
    FilterSettings,
    classes=st.none() | st.just((0, 1)),
    min_confidence=st.none() | st.floats(0, 1),
    on_change=st.booleans(),
    max_per_s=st.none() | st.floats(0.1, 5),
)
policies = st.builds(
    PolicySettings,
    output=st.sampled_from([Visibility.RAW, Visibility.NEVER]),
    classes=st.sampled_from(Visibility),
    confidence=st.sampled_from(Visibility),
    latency=st.sampled_from(Visibility),
)
windows_drawn = st.none() | st.builds(WindowSettings, seconds=st.sampled_from([0.1, 1.0, 7.5]))


@settings(max_examples=200, deadline=None)
@given(records_drawn, filters, windows_drawn, policies, st.lists(st.integers(0, 40), max_size=5))
def test_each_record_is_accounted_for_once_however_it_was_pulled(
    records: list[Record], wanted: FilterSettings | None, window: WindowSettings | None, policy: PolicySettings, cuts: list[int]
) -> None:
    edge = Edge(filter=wanted, window=window, policy=policy, rules=[RuleSettings(name="r", classes=(1,), count=2)])
    made = run(edge, records, [c for c in cuts if c <= len(records)])
    assert len(made.records) + made.filtered + sum(d.count for d in made.derived) == len(records)
    assert sum(json.loads(d.body)["records"] for d in windows(made)) == (len(records) if window is not None else 0)
    assert window is None or made.filtered == 0
    ranges = [(d.first_seq, d.last_seq) for d in windows(made)]
    assert all(a is not None and b is not None and a <= b for a, b in ranges)
    assert [seq for pair in ranges for seq in pair] == sorted(seq for pair in ranges for seq in pair if seq is not None)
    at_once = run(edge, records)
    assert (made.records, made.derived, made.filtered) == (at_once.records, at_once.derived, at_once.filtered)


@settings(max_examples=100, deadline=None)
@given(records_drawn, filters, windows_drawn, policies)
def test_what_may_not_leave_is_in_nothing_that_does(
    records: list[Record], wanted: FilterSettings | None, window: WindowSettings | None, policy: PolicySettings
) -> None:
    edge = Edge(filter=wanted, window=window, policy=policy, rules=[RuleSettings(name="r")])
    made = run(edge, records)
    if not all(value is Visibility.RAW for _, value in policy):
        assert made.records == []
    for derived in made.derived:
        body = json.loads(derived.body)
        single = derived.kind == "detection"
        for key, value in (
            ("classes", policy.classes),
            ("class", policy.classes),
            ("confidence", policy.confidence),
            ("latency_us", policy.latency),
        ):
            if value is Visibility.NEVER or (single and value is not Visibility.RAW):
                assert key not in body
        assert "output" not in body


def test_window_holds_the_numbers_of_its_records() -> None:
    records = [record(seq, top=seq % 3, share=0.25 + seq / 100) for seq in range(25)]  # 0.1 s apart: windows of 10, 10 and 5
    made = run(Edge(window=WindowSettings(seconds=1.0, quantiles=(0.0, 0.5, 1.0))), records)
    assert made.records == [] and made.filtered == 0
    assert [(d.first_seq, d.last_seq, d.count, d.model_id) for d in made.derived] == [
        (0, 9, 10, b"\x01" * 32), (10, 19, 10, b"\x01" * 32), (20, 24, 5, b"\x01" * 32)
    ]  # fmt: skip
    body = json.loads(made.derived[1].body)
    assert body["classes"] == {"1": 4, "2": 3, "0": 3}
    assert body["latency_us"] == {"min": 910, "mean": 914.5, "max": 919, "quantiles": {"0": 910, "0.5": 915, "1": 919}}
    assert body["confidence"]["min"] == pytest.approx(0.35, abs=1 / 256)
    assert (body["first_uptime_us"], body["last_uptime_us"]) == (1_000_000, 1_900_000)


def test_filter_delivers_what_passes_and_windows_cover_the_rest() -> None:
    records = [record(seq, top=5 if seq in (3, 4, 17) else 0) for seq in range(20)]
    made = run(Edge(filter=FilterSettings(classes=(5,), on_change=True), window=WindowSettings(seconds=1.0)), records)
    assert [r.seq for r in made.records] == [3, 17]
    assert [(d.count, json.loads(d.body)["records"]) for d in made.derived] == [(9, 10), (9, 10)]


def test_another_model_begins_another_window() -> None:
    records = [record(seq, generation=1 if seq < 4 else 2) for seq in range(8)]
    made = run(Edge(window=WindowSettings(seconds=60.0)), records)
    assert [(d.count, d.model_id) for d in made.derived] == [(4, b"\x01" * 32), (4, b"\x02" * 32)]


def test_rate_is_kept_by_the_devices_clock() -> None:
    made = run(Edge(filter=FilterSettings(max_per_s=2.0)), [record(seq) for seq in range(100)])
    assert 20 <= len(made.records) <= 22 and made.filtered == 100 - len(made.records)


def test_rule_acts_on_enough_in_time_and_then_rests() -> None:
    rule = RuleSettings(name="fall", classes=(5,), min_confidence=0.8, count=2, within_s=1.0, cooldown_s=3.0)
    sure = [(0, 0.9), (20, 0.9), (25, 0.7), (29, 0.9), (31, 0.9), (32, 0.9), (70, 0.9), (71, 0.9)]
    levels = dict(sure)
    records = [record(seq, top=5 if seq in levels else 0, share=levels.get(seq, 0.99)) for seq in range(80)]
    made = run(Edge(rules=[rule]), records)
    assert [(d.kind, d.first_seq, d.count, d.priority) for d in made.derived] == [("detection", 29, 0, 4), ("detection", 71, 0, 4)]
    assert len(made.records) == 80


def test_confidence_is_of_int8_and_uint8_alone() -> None:
    assert confidence(record(0, share=0.75), DType.INT8) == 0.75
    assert confidence(record(0, share=0.75, generation=2), DType.UINT8) == 0.75
    assert confidence(record(0, top=TOP_NONE), DType.INT8) is None
    assert confidence(record(0), DType.FLOAT32) is None


def test_state_and_cursor_are_one_commit(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.db", gateway_id="gw")
    outbox.append(DEVICE, 1, [], since=0, next_seq=5, lost=0, edge=EdgeChange(None, b"one"))
    with pytest.raises(CursorMoved):
        outbox.append(DEVICE, 1, [], since=5, next_seq=9, lost=0, edge=EdgeChange(b"other", b"two"))
    assert (outbox.cursor(DEVICE, 1), outbox.edges.of(DEVICE, 1)) == (5, b"one")
    with pytest.raises(CursorMoved):
        outbox.append(DEVICE, 1, [], since=4, next_seq=9, lost=0, edge=EdgeChange(b"one", b"two"))
    outbox.close()
    outbox = Outbox(tmp_path / "outbox.db", gateway_id="gw")
    assert (outbox.cursor(DEVICE, 1), outbox.edges.of(DEVICE, 1)) == (5, b"one")
    outbox.append(DEVICE, 1, [], since=5, next_seq=9, lost=0, edge=EdgeChange(b"one", None))
    assert outbox.edges.of(DEVICE, 1) is None
    outbox.close()


def test_what_the_edge_remembers_is_sealed_like_the_rest(tmp_path: Path) -> None:
    path, key, text = tmp_path / "outbox.db", bytes(range(32)), b"seen by nobody else"
    outbox = Outbox(path, gateway_id="gw")
    outbox.append(DEVICE, 1, [], since=0, next_seq=1, lost=0, edge=EdgeChange(None, text))
    outbox.close()
    outbox = Outbox(path, gateway_id="gw", key=lambda _: key)
    assert outbox.edges.of(DEVICE, 1) == text
    outbox.append(DEVICE, 1, [], since=1, next_seq=2, lost=0, edge=EdgeChange(text, text + b"!"))
    assert outbox.edges.of(DEVICE, 1) == text + b"!"
    outbox.settle()
    outbox.close()
    assert text not in b"".join(file.read_bytes() for file in tmp_path.iterdir() if file.suffix != ".reserve")
    with pytest.raises(StoreError, match="sealed"):
        Outbox(path, gateway_id="gw")


def test_windows_of_the_idle_and_of_ended_boots_close(tmp_path: Path) -> None:
    now_s = 0.0
    outbox = Outbox(tmp_path / "outbox.db", gateway_id="gw", clock_s=lambda: now_s)
    edge = Edge(window=WindowSettings(seconds=1.0))
    for boot_id in (1, 2):
        records = [record(seq) for seq in range(5)]
        made = edge.process(None, pulled(records), records, DTYPES)
        outbox.append(DEVICE, boot_id, made.records, since=0, next_seq=5, lost=0, derived=made.derived, edge=made.change)
    assert outbox.edges.close(edge.close, 2.0) == 0
    assert [b.pulled for b in outbox.boots()] == [0, 0]
    now_s = 3.0
    assert outbox.edges.close(edge.close, 2.0) == 2
    assert [(d.boot_id, d.count) for d in outbox.batch("http", 10, 2**20).derived if d.kind == "window"] == [(1, 5), (2, 5)]
    assert [b.pulled for b in outbox.boots()] == [5, 5]
    assert outbox.edges.close(edge.close, 2.0) == 0
    outbox.close()


async def test_a_gateway_that_ends_within_a_window_goes_on_with_it(tmp_path: Path) -> None:
    board = FakeBoard()
    edge = Edge(window=WindowSettings(seconds=10.0))  # the board makes ten records a second of its clock, and begins at one second
    async with tcp_peer(board) as (url, _):
        for seen in (30, 60, 95):
            board.produce(seen - board.produced)
            async with pulling(tmp_path, url, edge) as (store, _status):

                async def reached(store: StoreThread = store, seen: int = seen) -> bool:
                    return await store.call(lambda outbox: outbox.cursor(board.device_id, 1)) == seen

                await wait_until(reached, f"{seen} records")
    outbox = Outbox(tmp_path / "outbox.db", gateway_id="gw")
    (first,) = outbox.batch("http", 100, 2**20).derived
    assert (first.first_seq, first.last_seq, first.count, first.model_id) == (0, 89, 90, MODEL_ID)
    assert outbox.edges.close(edge.close, 0.0) == 1
    assert [d.count for d in outbox.batch("http", 100, 2**20).derived] == [90, 5]
    assert [(b.next_seq, b.pulled) for b in outbox.boots()] == [(95, 95)]
    outbox.close()


async def test_bytes_in_and_out_are_counted(tmp_path: Path) -> None:
    board = FakeBoard()
    board.produce(200)
    async with tcp_peer(board) as (url, _), pulling(tmp_path, url, Edge(window=WindowSettings(seconds=10.0))) as (_, status):
        await wait_until(lambda: status.pulled == 200, "200 records")
        assert status.raw_bytes == sum(map(len, board.history.values()))
        assert 0 < status.queued_bytes < status.raw_bytes / 4


CONFIG = """
version = 2
[gateway]
id = "gw"
data_dir = "data"
[[device]]
url = "tcp://127.0.0.1:1"
[[sink]]
type = "http"
url = "http://127.0.0.1:2"
"""


def loaded(folder: Path, tables: str) -> GatewayConfig:
    (folder / "gateway.toml").write_text(CONFIG + tables)
    return load_config(folder / "gateway.toml")


@pytest.mark.parametrize(
    ("tables", "lines"),
    [
        ("", ["every record is delivered"]),
        ("[window]\nseconds = 60\n", ["records are summed up, 60 s at a time"]),
        (
            "[filter]\nclasses = [1, 2]\n[window]\nseconds = 60\n",
            ["records that pass the filter (classes 1/2) are delivered", "the others are summed up, 60 s at a time"],
        ),
        (
            '[window]\nseconds = 60\n[policy]\noutput = "never"\nclasses = "summary"\n',
            [
                "no record is delivered",
                "records are summed up, 60 s at a time",
                "never leaves this gateway: output",
                "leaves only in sums: classes",
            ],
        ),
        ('[policy]\nlatency = "never"\n', ["no record is delivered", "all are counted as filtered", "never leaves this gateway: latency"]),
        ('[[rule]]\nname = "fall"\ncount = 2\n', ["every record is delivered", "rule fall: 2 within 10 s, a detection"]),
        (
            '[[rule]]\nname = "fall"\nwebhook = "https://x/y"\nca_file = "c"\nsample_period_ms = 10\nmax_age_s = 60\n',
            [
                "every record is delivered",
                "rule fall: 1 within 10 s, POST https://x/y, tell the device to measure every 10 ms (until its next restart);"
                " at least once, within 60 s",
            ],
        ),
    ],
)
def test_check_says_what_leaves_and_what_does_not(tmp_path: Path, tables: str, lines: list[str]) -> None:
    assert describe_edge(loaded(tmp_path, tables)) == lines


@pytest.mark.parametrize(
    ("tables", "complaint"),
    [
        ("[filter]\nclasses = [3, 300]\n", "filter.classes[1] = 300: allowed: numbers of classes that pass, each 0 to 254"),
        ("[window]\nseconds = 1\nquantiles = [2]\n", "window.quantiles[0] = 2: allowed: at most 16 ranks, each 0 to 1"),
        ('[[rule]]\nname = "a"\nwebhook = "http://x:0x1/"\n', "rule[0].webhook = 'http://x:0x1/': allowed: http:// or https:// URL"),
        ('[[rule]]\nname = "a"\nmqtt = "mqtts://x:99999"\ntopic = "t"\n', "rule[0].mqtt = 'mqtts://x:99999'"),
        ("[filter]\nmin_confidence = 2\n", "filter.min_confidence = 2"),
        ("[window]\nseconds = 0\n", "window.seconds = 0: allowed: length of a window"),
        ('[policy]\noutput = "summary"\n', "policy.output = 'summary'"),
        ('[policy]\nlatency = "secret"\n', "policy.latency = 'secret'"),
        ('[[rule]]\nname = "a"\nwebhook = "ftp://x"\n', "rule[0].webhook = 'ftp://x'"),
        ('[[rule]]\nname = "a"\n[[rule]]\nname = "a"\n', "rule[1].name = 'a': allowed: each one once"),
        ('[[rule]]\nname = "a"\ntopic = "x"\n', "rule[0].topic = 'x': allowed: together with mqtt"),
        ('[[rule]]\nname = "a"\nmqtt = "mqtts://x"\n', "rule[0].topic = None: allowed: together with mqtt"),
        ('[[rule]]\nname = "a"\nmqtt = "amqp://x"\ntopic = "t"\n', "rule[0].mqtt = 'amqp://x': allowed: mqtt://HOST[:PORT] or mqtts"),
        ('[[rule]]\nname = "a"\nmqtt = "mqtt://x"\ntopic = "t"\nca_file = "c"\n', "rule[0].mqtt = 'mqtt://x': allowed: mqtts:// where"),
        ('[[rule]]\nname = "a"\nwebhook = "http://x"\nca_file = "c"\n', "rule[0].webhook = 'http://x': allowed: https:// where"),
        ('[[rule]]\nname = "a"\nwebhook = "https://x"\ncert_file = "c"\n', "rule[0].key_file: missing; allowed: cert_file and key_file"),
        ('[[rule]]\nname = "a"\nca_file = "c"\n', "rule[0].webhook = None: allowed: https:// where"),
        ('[[rule]]\nname = "a"\nusername = "u"\n', "rule[0].username = 'u': allowed: together with mqtt"),
        ('[[rule]]\nname = "a"\nmax_age_s = 0\n', "rule[0].max_age_s = 0: allowed: seconds in which the gateway runs"),
        ('[[rule]]\nname = "a"\ndevice = "x"\n', "rule[0].device: unknown key"),
        (
            '[[rule]]\nname = "a"\nclasses = [5]\n[policy]\nclasses = "never"\n',
            "rule[0].classes = [5]: allowed: with policy.classes = 'raw'",
        ),
        (
            '[[rule]]\nname = "a"\nmin_confidence = 0.5\n[policy]\nconfidence = "summary"\n',
            "rule[0].min_confidence = 0.5: allowed: with policy.confidence = 'raw' alone",
        ),
        ("[window]\nseconds = 1\nlength = 3\n", "window.length: unknown key"),
    ],
)
def test_wrong_tables_are_named(tmp_path: Path, tables: str, complaint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, tables)
    assert complaint in str(caught.value)
    assert "Input should" not in str(caught.value) and str(caught.value).count("allowed:") <= 1
