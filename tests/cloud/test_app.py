from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from tests.cloud.batches import DEVICE, MODEL, OTHER_OUTBOX, OUTBOX, batch, message, record
from tinyfleet.cloud import app as app_module
from tinyfleet.cloud.app import create_app
from tinyfleet.cloud.store import CLOUD_FILE, CloudStore
from tinyfleet_codegen.errors import StoreError

JSON = {"Content-Type": "application/json"}


class Client:
    """Asks the application without a network, and waits for its answer."""

    def __init__(self, app: FastAPI) -> None:
        self._transport = httpx.ASGITransport(app)

    def _request(self, method: str, path: str, **options: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            async with httpx.AsyncClient(transport=self._transport, base_url="http://cloud") as client:
                return await client.request(method, path, **options)

        return asyncio.run(ask())

    def get(self, path: str, **options: Any) -> httpx.Response:
        """GET."""
        return self._request("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        """POST."""
        return self._request("POST", path, **options)

    def delete(self, path: str) -> httpx.Response:
        """DELETE."""
        return self._request("DELETE", path)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[CloudStore]:
    store = CloudStore(tmp_path / CLOUD_FILE)
    yield store
    store.close()


@pytest.fixture
def client(store: CloudStore) -> Client:
    return Client(create_app(store))


def test_answer_names_what_is_stored_and_a_listing_shows_it(client: Client) -> None:
    answer = client.post("/v1/records", json=batch(message(0), message(1), message(3)))
    assert answer.status_code == 200
    assert answer.json() == {
        "version": 1, "stored": 3, "derived": 0, "redelivered": 0, "duplicated": 0, "alarms": 0, "refused": [],
        "acknowledged": [
            {"device_id": DEVICE.hex(), "boot_id": 1, "first": 0, "last": 1},
            {"device_id": DEVICE.hex(), "boot_id": 1, "first": 3, "last": 3},
        ],
    }  # fmt: skip
    listed = client.get("/v1/records").json()
    assert [base64.b64decode(r["record"]) for r in listed["records"]] == [record(s) for s in (0, 1, 3)]
    assert listed["records"][0]["time_utc"] == "2026-01-31T12:00:00.000001Z"
    assert client.get(f"/v1/records?after={listed['records'][1]['id']}").json()["records"][0]["seq"] == 3
    assert [r["seq"] for r in client.get("/v1/records?last=2").json()["records"]] == [1, 3]
    assert client.get(f"/v1/records?device={'00' * 16}").json()["records"] == []


def test_what_is_acknowledged_is_in_the_database_of_a_second_process(client: Client, store: CloudStore) -> None:
    client.post("/v1/records", json=batch(message(0)))
    second = CloudStore(store.path)
    assert second.totals()["stored"] == 1
    second.close()


def test_redelivery_and_duplicate_are_told_apart_and_suppressed(client: Client) -> None:
    client.post("/v1/records", json=batch(message(0), message(1)))
    again = client.post("/v1/records", json=batch(message(0), message(1), message(2))).json()
    assert (again["stored"], again["redelivered"], again["duplicated"]) == (1, 2, 0)
    assert again["acknowledged"][0]["last"] == 2
    doubled = client.post("/v1/records", json=batch(message(0, entry=77))).json()
    elsewhere = client.post("/v1/records", json=batch(message(1), outbox_id=OTHER_OUTBOX)).json()
    assert (doubled["duplicated"], elsewhere["duplicated"]) == (1, 1)
    summary = client.get("/v1/summary").json()
    assert (summary["stored"], summary["redelivered"], summary["duplicated"], summary["alarms"]) == (3, 2, 2, 0)


def test_other_bytes_of_one_identity_are_kept_as_an_alarm(client: Client) -> None:
    client.post("/v1/records", json=batch(message(5)))
    for _ in range(2):
        clash = client.post("/v1/records", json=batch(message(5, salt=1, entry=9)))
        assert clash.status_code == 200
        assert (clash.json()["alarms"], clash.json()["acknowledged"][0]["first"]) == (1, 5)
    assert client.get("/v1/summary").json()["alarms"] == 1
    alarm = client.get("/v1/alarms").json()["alarms"][0]
    assert base64.b64decode(alarm["record"]) == record(5, salt=1)
    assert base64.b64decode(client.get("/v1/records").json()["records"][0]["record"]) == record(5)


def test_one_bad_record_does_not_hold_up_the_others(client: Client) -> None:
    newer = bytes([9]) + record(1)[1:]
    bad = [
        message(1, record=base64.b64encode(newer).decode()),
        message(2, record="!!!"),
        message(3, record=base64.b64encode(record(3) + record(4)).decode()),
        message(4, seq=44),
        message(5, time_utc="yesterday"),
        message(6, time_utc="2026-01-01T00:00:00"),
        message(7, record=""),
    ]
    answer = client.post("/v1/records", json=batch(message(0), *bad))
    assert answer.status_code == 200
    assert [r["index"] for r in answer.json()["refused"]] == [1, 2, 3, 4, 5, 6, 7]
    assert answer.json()["stored"] == 1
    assert client.get("/v1/summary").json()["refused"] == 7
    assert client.post("/v1/records", json=batch(bad[0])).status_code == 422


def test_loss_reports_are_totals_and_may_be_repeated(client: Client) -> None:
    report = {"device_id": DEVICE.hex(), "boot_id": 1, "lost": 4, "dropped": 2}
    for _ in range(2):
        client.post("/v1/records", json=batch(reports=[report]))
    client.post("/v1/records", json=batch(reports=[report | {"lost": 5}]))
    client.post("/v1/records", json=batch(reports=[report], outbox_id=OTHER_OUTBOX))
    summary = client.get("/v1/summary").json()
    assert (summary["lost"], summary["dropped"]) == (9, 4)
    assert client.get("/v1/devices").json()["devices"][0]["lost"] == 9


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"\xff\xfe\x00",
        b'"' + b"a" * 1000,
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b'{"version": 1e400}',
        b'{"version": NaN}',
        json.dumps(batch(version=2)).encode(),
        json.dumps(batch(version="1")).encode(),
        json.dumps(batch(version=True)).encode(),
        json.dumps(batch(gateway_id="<script>")).encode(),
        json.dumps(batch(outbox_id="zz" * 16)).encode(),
        json.dumps(batch(records={})).encode(),
        json.dumps(batch(message(0, seq=-1))).encode(),
        json.dumps(batch(message(0, seq=2**32))).encode(),
        json.dumps(batch(message(0, seq=0.0))).encode(),
        json.dumps(batch(message(0, entry=2**63))).encode(),
        json.dumps(batch(message(0, entry=10**400))).encode(),
        json.dumps(batch(message(0, device_id=DEVICE.hex().upper().replace("1", "A")))).encode(),
        json.dumps(batch(message(0, device_id=DEVICE.hex() + "\n"))).encode(),
        json.dumps(batch(message(0, record="A" * 5000))).encode(),
        json.dumps(batch(message(0, record=None))).encode(),
        json.dumps(batch(message(0, model_id="short"))).encode(),
        json.dumps(batch(*[{"seq": 0}] * 6000)).encode(),
        b'{"version":1,"gateway_id":"\\ud800","outbox_id":"' + OUTBOX.encode() + b'","records":[]}',
    ],
)
def test_hostile_body_is_refused_and_stores_nothing(client: Client, body: bytes) -> None:
    for path in ("/v1/records", "/v1/models"):
        answer = client.post(path, content=body, headers=JSON)
        assert 400 <= answer.status_code < 500
        assert len(answer.json()["error"]) < 400
    assert client.get("/v1/summary").json()["stored"] == 0


def test_body_above_the_limit_is_refused(client: Client) -> None:
    assert client.post("/v1/records", content=b" " * (app_module.MAX_BODY_BYTES + 1), headers=JSON).status_code == 413


def test_body_of_another_type_is_refused(client: Client) -> None:
    answer = client.post("/v1/records", content=json.dumps(batch()), headers={"Content-Type": "text/plain"})
    assert answer.status_code == 415


@pytest.mark.parametrize(
    "path",
    ["device=../..", "after=-1", "limit=0", "limit=999999", "last=x", f"after={2**70}"],
)
def test_query_outside_its_range_is_refused(client: Client, path: str) -> None:
    answer = client.get(f"/v1/records?{path}")
    assert answer.status_code == 422
    assert "error" in answer.json()


def test_unknown_path_and_method_have_an_answer_in_json(client: Client) -> None:
    assert (client.get("/v1/nothing").status_code, client.delete("/v1/records").status_code) == (404, 405)
    assert "error" in client.get("/v1/nothing").json()


def test_token_guards_everything_but_the_empty_page(store: CloudStore) -> None:
    client = Client(create_app(store, token="s3cret"))
    assert client.get("/").status_code == 200
    for path in ("/v1/summary", "/v1/devices", "/v1/records", "/v1/alarms", "/v1/models"):
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "s3cre"}, {"Authorization": "Bearer é".encode("latin-1")}):
            assert client.get(path, headers=headers).status_code == 401
        assert client.get(path, headers={"Authorization": "Bearer s3cret"}).status_code == 200
    assert client.post("/v1/records", json=batch(message(0))).status_code == 401
    assert client.post("/v1/models", json={}).status_code == 401


def test_registered_model_gives_results_their_names(client: Client) -> None:
    model = {
        "version": 1,
        "model_id": MODEL,
        "name": "gesture",
        "labels": ["a", "b", "c"],
        "output_scale": 1 / 256,
        "output_zero_point": -128,
    }
    client.post("/v1/records", json=batch(message(0)))
    assert client.get("/v1/records").json()["records"][0]["label"] is None
    for name in ("gesture", "gesture", "renamed"):
        assert client.post("/v1/models", json=model | {"name": name}).status_code == 200
    row = client.get("/v1/records").json()["records"][0]
    output = record(0)[-6:]
    assert row["model"] == "renamed"
    assert row["label"] == (["a", "b", "c"][row["top"]] if row["top"] < 3 else f"class {row['top']}")
    assert row["scores"] == pytest.approx([(int.from_bytes([v], signed=True) + 128) / 256 for v in output], abs=1e-6)
    clash = client.post("/v1/models", json=model | {"labels": ["x", "y", "z"]})
    assert clash.status_code == 409


@pytest.mark.parametrize(
    "change",
    [{"output_dtype": "float128"}, {"output_dtype": "INT8"}, {"output_scale": 0}, {"labels": [1]}, {"name": ""}, {"model_id": "x"}],
)
def test_wrong_model_is_refused(client: Client, change: dict[str, Any]) -> None:
    model = {"version": 1, "model_id": MODEL, "name": "gesture"} | change
    assert client.post("/v1/models", json=model).status_code == 422


def test_full_disk_is_answered_with_when_to_come_back(client: Client, store: CloudStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_args: object, **_kwargs: object) -> None:
        raise StoreError("cloud database x: database or disk is full")

    monkeypatch.setattr(store, "ingest", full)
    answer = client.post("/v1/records", json=batch(message(0)))
    assert (answer.status_code, answer.headers["Retry-After"]) == (507, "10")
    assert "acknowledged" not in answer.json()


def test_page_is_self_contained_and_may_run_only_its_own_script(client: Client) -> None:
    answer = client.get("/")
    page = answer.text
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert "http://" not in page.replace("http://www.w3.org/", "") and "https://" not in page
    for dangerous in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
        assert dangerous not in page
    assert " style=" not in page and " onclick=" not in page
