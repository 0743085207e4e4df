"""Batches of CloudEvents at the cloud's door."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cbor2
import pytest

from tests.cloud.batches import DEVICE, MODEL, OTHER_OUTBOX, OUTBOX, batch, message, record
from tests.cloud.test_app import Client
from tinyfleet.cloud import app as app_module
from tinyfleet.cloud.app import create_app
from tinyfleet.cloud.store import CLOUD_FILE, CloudStore
from tinyfleet.cloud_events import Encoding, LossEvent, encode_events, envelope_event, loss_event, record_event
from tinyfleet.telemetry import DerivedEnvelope, Envelope, LossReport, RecordIdentity

BOTH = pytest.mark.parametrize("encoding", list(Encoding))


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    store = CloudStore(tmp_path / CLOUD_FILE)
    yield Client(create_app(store))
    store.close()


def event(seq: int, encoding: Encoding = Encoding.JSON, *, salt: int = 0, entry: int | None = None, outbox: str = OUTBOX) -> dict[str, Any]:
    """A record as a gateway would send it."""
    identity = RecordIdentity(DEVICE, 1, seq)
    data = record(seq, salt=salt)
    number = seq + 1 if entry is None else entry
    return record_event(Envelope(identity, data, 10**15 + seq, 900, bytes.fromhex(MODEL), "gw", bytes.fromhex(outbox), number), encoding)


def changed(e: dict[str, Any], **data: Any) -> dict[str, Any]:
    """The same event with other data."""
    return e | {"data": e["data"] | data}


def post(client: Client, events: list[Any], encoding: Encoding = Encoding.JSON, path: str = "/v1/records") -> Any:
    return client.post(path, content=encode_events(events, encoding), headers={"Content-Type": encoding.batch_type})


@BOTH
def test_answer_names_the_entries_that_are_stored(client: Client, encoding: Encoding) -> None:
    loss = loss_event(LossEvent(LossReport(DEVICE, 1, lost=3, dropped=1, filtered=7), "gw", bytes.fromhex(OUTBOX)))
    answer = post(client, [event(s, encoding) for s in (0, 1, 3)] + [loss, event(0, encoding, outbox=OTHER_OUTBOX)], encoding)
    assert answer.status_code == 200
    assert answer.json() == {
        "version": 1, "stored": 3, "derived": 0, "redelivered": 0, "duplicated": 1, "alarms": 0, "reports": 1, "refused": [],
        "acknowledged": [
            {"outbox_id": OUTBOX, "first": 1, "last": 2}, {"outbox_id": OUTBOX, "first": 4, "last": 4},
            {"outbox_id": OTHER_OUTBOX, "first": 1, "last": 1},
        ],
    }  # fmt: skip
    again = post(client, [event(0, encoding)], encoding).json()
    assert (again["stored"], again["redelivered"]) == (0, 1)
    rows = client.get("/v1/records").json()["records"]
    assert [(r["seq"], r["time_utc"][:10], r["model_id"]) for r in rows] == [(s, "2001-09-09", MODEL) for s in (0, 1, 3)]
    summary = client.get("/v1/summary").json()
    assert (summary["lost"], summary["dropped"], summary["filtered"]) == (3, 1, 7)


def derived(number: int, encoding: Encoding = Encoding.JSON, *, entry: int = 90, count: int = 4, **body: Any) -> dict[str, Any]:
    """A gap, as a gateway would declare it."""
    about = (DEVICE, 1, 10, 13, count, json.dumps({"reason": "restart"} | body).encode(), 10**15, 900, None)
    return envelope_event(DerivedEnvelope("gap", number, *about, "gw", bytes.fromhex(OUTBOX), entry), encoding)


@BOTH
def test_derived_record_is_stored_by_its_own_identity_and_listed(client: Client, encoding: Encoding) -> None:
    answer = post(client, [derived(1, encoding), event(0, encoding), derived(2, encoding, entry=91)], encoding).json()
    assert (answer["stored"], answer["derived"]) == (1, 2)
    assert [(r["first"], r["last"]) for r in answer["acknowledged"]] == [(1, 1), (90, 91)]
    assert post(client, [derived(1, encoding)], encoding).json()["redelivered"] == 1
    assert post(client, [derived(1, encoding, entry=99)], encoding).json()["duplicated"] == 1
    assert post(client, [derived(1, encoding, count=5)], encoding).json()["alarms"] == 1
    assert post(client, [derived(1, encoding, more=1)], encoding).json()["alarms"] == 1
    rows = client.get("/v1/derived?after=1").json()["derived"]
    assert [(r["number"], r["device_id"], r["first_seq"], r["last_seq"], r["count"]) for r in rows] == [(2, DEVICE.hex(), 10, 13, 4)]
    assert (rows[0]["body"], rows[0]["gateway_id"]) == ({"reason": "restart"}, "gw")
    summary = client.get("/v1/summary").json()
    assert (summary["derived"], summary["covered"], summary["alarms"]) == (2, 8, 2)


@pytest.mark.parametrize(
    "change", [{"kind": "Gap"}, {"number": -1}, {"boot_id": None}, {"count": None}, {"body": []}, {"first_seq": 2**32}]
)
def test_wrong_derived_record_is_refused(client: Client, change: dict[str, Any]) -> None:
    assert post(client, [changed(derived(1), **change)]).status_code == 422


def test_body_of_a_derived_record_must_be_writable_as_json(client: Client) -> None:
    for value in (float("nan"), b"bytes"):
        wrong = changed(derived(1, Encoding.CBOR), body={"x": value})
        assert post(client, [wrong], Encoding.CBOR).json()["refused"][0]["reason"].startswith("data.body is not JSON")


def test_both_forms_of_a_batch_are_the_same_records(client: Client) -> None:
    client.post("/v1/records", json=batch(message(0), message(1)))
    assert post(client, [event(0), event(1), event(2)]).json()["redelivered"] == 2


def test_event_that_is_not_ours_is_refused_alone(client: Client) -> None:
    good = event(0)
    bad: list[Any] = [
        None,
        "text",
        {},
        good | {"specversion": "0.3"},
        good | {"dataschema": "urn:tinyfleet:telemetry:2"},
        good | {"type": "tinyfleet.unheard.v1"},
        good | {"id": "1/1"},
        good | {"source": "urn:tinyfleet:device:" + "22" * 16},
        good | {"time": "yesterday"},
        good | {"time": "2026-01-01T00:00:00"},
        changed(good, record="!!!"),
        changed(good, record=None),
        changed(good, seq=1),
        changed(good, entry=2**63),
        changed(good, device_id="22" * 16),
        changed(event(1), record=good["data"]["record"]),
    ]
    answer = post(client, [*bad, good])
    assert answer.status_code == 200
    assert [r["index"] for r in answer.json()["refused"]] == list(range(len(bad)))
    assert answer.json()["acknowledged"] == [{"outbox_id": OUTBOX, "first": 1, "last": 1}]
    assert post(client, bad[:1]).status_code == 422
    assert post(client, [event(0, Encoding.CBOR)], Encoding.CBOR).status_code == 200
    assert post(client, [good], Encoding.CBOR).status_code == 422


def test_events_of_another_gateway_than_named_are_refused(client: Client) -> None:
    assert post(client, [event(0)], path="/v1/records?gateway=gw").json()["stored"] == 1
    refused = post(client, [event(1)], path="/v1/records?gateway=other")
    assert (refused.status_code, refused.json()["refused"][0]["reason"]) == (422, "an event of gateway gw from gateway other")


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        (Encoding.JSON, b""),
        (Encoding.JSON, b"{}"),
        (Encoding.JSON, b"[" * 100_000),
        (Encoding.JSON, b'[{"a":NaN}'),
        (Encoding.CBOR, b""),
        (Encoding.CBOR, b"\xa0"),
        (Encoding.CBOR, b"\x81" * 100_000),
        (Encoding.CBOR, b"\x9b\x7f\xff\xff\xff\xff\xff\xff\xff"),
        (Encoding.CBOR, b"\x80\x80"),
        (Encoding.CBOR, b"\xd8\x1c\x81\xd8\x1d\x00"),
        (Encoding.CBOR, cbor2.dumps([cbor2.CBORTag(2, b"\xff" * 100_000)])[:-1]),
    ],
)
def test_hostile_batch_is_refused(client: Client, encoding: Encoding, body: bytes) -> None:
    answer = client.post("/v1/records", content=body, headers={"Content-Type": encoding.batch_type})
    assert answer.status_code == 422
    assert len(answer.text) < 400


def test_batch_may_come_packed_and_is_bounded_when_unpacked(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    headers = {"Content-Type": Encoding.JSON.batch_type, "Content-Encoding": "gzip"}
    body = gzip.compress(encode_events([event(0)], Encoding.JSON))
    assert client.post("/v1/records", content=body, headers=headers).json()["stored"] == 1
    assert client.post("/v1/records", content=body[:-9], headers=headers).status_code == 400
    assert client.post("/v1/records", content=b"plain", headers=headers).status_code == 400
    assert client.post("/v1/records", content=gzip.compress(b" " * (app_module.MAX_BODY_BYTES + 1)), headers=headers).status_code == 413
    assert client.post("/v1/records", content=body, headers=headers | {"Content-Encoding": "br"}).status_code == 415
    assert client.post("/v1/records", content=json.dumps([event(1)]), headers={"Content-Type": "text/plain"}).status_code == 415


def test_too_many_events_are_asked_for_in_smaller_batches(client: Client) -> None:
    assert post(client, [{}] * 5001).status_code == 413
