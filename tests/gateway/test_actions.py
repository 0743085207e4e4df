"""What rules do, through what fails: the receiver, the broker, the device, and the gateway itself."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from smp.header import OP

from tests.gateway.fake_board import FakeBoard
from tests.gateway.processes import running_cloud, running_gateway, wait_until, write_config
from tests.gateway.pulling import pulling
from tests.gateway.sinks.batches import context
from tests.gateway.sinks.peers import GATEWAY, Fleet, start_broker
from tests.gateway.webhook import Hook, hook
from tests.host.peer import tcp_peer
from tests.support.pki import Identity
from tinyfleet.demo.broker import Broker
from tinyfleet.gateway.config import load_config
from tinyfleet.gateway.edge import Edge, RuleSettings
from tinyfleet.gateway.edge.actions import Actions
from tinyfleet.gateway.edge.targets import open_targets
from tinyfleet.gateway.outbox import OUTBOX_FILE, NewDerived, Outbox, inspect_outbox
from tinyfleet.gateway.outbox_schema import TargetTotals
from tinyfleet.gateway.status import read_status
from tinyfleet.gateway.store_thread import StoreThread
from tinyfleet_codegen.errors import ConfigError, SinkError
from tinyfleet_codegen.wire.ids import Command, SmpGroup

DEVICE = b"acts" * 4


def ruled(**keys: Any) -> RuleSettings:
    """A rule that has time, on a machine that has none."""
    return RuleSettings(**({"timeout_s": 60.0} | keys))


class Acting:
    """An outbox and what acts for some rules on it.

    Attributes:
        alarms: How often there was one to deliver.
    """

    def __init__(self, folder: Path, *rules: RuleSettings, max_bytes: int = 2**28) -> None:
        self.rules = rules
        ages = {name: rule.max_age_s for rule in rules for name in rule.targets()}
        self.now_s = 0.0
        outbox = Outbox(folder / OUTBOX_FILE, gateway_id="gw", targets=ages, max_bytes=max_bytes, clock_s=lambda: self.now_s)
        self.outbox_id = outbox.outbox_id.hex()
        self.store = StoreThread(outbox)
        targets = {n: (t, r.timeout_s) for r in rules for n, t in open_targets(r, GATEWAY, context(folder, GATEWAY)).items()}
        self.alarms = 0
        self.actions = Actions("gw", targets, self.store, self._count)
        self.seq = 0

    def _count(self) -> None:
        self.alarms += 1

    async def fire(self, *rules: RuleSettings) -> None:
        """Rules act (all when none is named): one detection each."""
        for rule in rules or self.rules:
            body = json.dumps({"rule": rule.name, "records": 1}).encode()
            found = NewDerived("detection", body, self.seq, self.seq, time_utc_us=5, time_error_us=1, targets=rule.targets())
            seq = self.seq
            await self.store.call(lambda o: o.append(DEVICE, 1, [], since=seq, next_seq=seq + 1, lost=0, derived=[found]))  # noqa: B023
            self.seq += 1
            self.actions.wake(rule.targets())

    async def totals(self) -> dict[str, TargetTotals]:
        """Of each target."""
        return {t.name: t for t in await self.store.call(lambda o: o.actions.totals())}

    async def has(self, name: str, **counts: int) -> bool:
        """Whether a target's totals are these."""
        totals = (await self.totals())[name]
        return all(getattr(totals, key) == count for key, count in counts.items())


@asynccontextmanager
async def acting(folder: Path, *rules: RuleSettings, **options: Any) -> AsyncIterator[Acting]:
    made = Acting(folder, *rules, **options)
    made.actions.start()
    try:
        yield made
    finally:
        await made.actions.stop()
        made.store.close()


async def test_webhook_is_told_in_order_until_it_takes_each(tmp_path: Path) -> None:
    async with hook(500, 204, 401, 503) as far, acting(tmp_path, ruled(name="fall", webhook=far.url)) as made:
        for _ in range(4):
            await made.fire()
        await wait_until(lambda: made.has("fall/webhook", done=4, waiting=0), "four calls")
        assert [body["seq"] for _, body in far.taken] == [0, 1, 2, 3]
        assert [body["seq"] for _, body in far.heard] == [0, 0, 1, 1, 1, 2, 3]
        key, body = far.taken[0]
        assert key == f"{made.outbox_id}/detection/1"
        assert body == {
            "version": 1, "key": key, "gateway_id": "gw", "device_id": DEVICE.hex(), "boot_id": 1, "seq": 0,
            "time_utc_us": 5, "time_error_us": 1, "rule": "fall", "records": 1,
        }  # fmt: skip
        assert len(far.keys) == 4 and made.alarms == 0


async def test_receiver_that_is_gone_holds_up_nobody_and_gets_all_when_it_is_back(tmp_path: Path) -> None:
    gone = Hook()
    async with gone.listening():
        pass  # its port is known, and nobody is there
    async with hook() as far:
        rules = ruled(name="gone", webhook=gone.url), ruled(name="there", webhook=far.url)
        async with acting(tmp_path, *rules) as made:
            for _ in range(3):
                await made.fire()
            await wait_until(lambda: made.has("there/webhook", done=3), "the one that is there")
            await wait_until(lambda: made.actions.errors["gone/webhook"] is not None, "an attempt")
            assert await made.has("gone/webhook", waiting=3, done=0)
            async with gone.listening():
                await wait_until(lambda: made.has("gone/webhook", waiting=0, done=3), "the one that came back")
            assert [body["seq"] for _, body in gone.taken] == [0, 2, 4]
            assert made.actions.errors["gone/webhook"] is None


async def test_poison_is_given_up_at_once_counted_and_declared(tmp_path: Path) -> None:
    async with hook(400, 204, 422) as far, acting(tmp_path, ruled(name="fall", webhook=far.url)) as made:
        for _ in range(4):
            await made.fire()
        await wait_until(lambda: made.has("fall/webhook", done=2, given_up=2, waiting=0), "all")
        assert [body["seq"] for _, body in far.heard] == [0, 1, 2, 3]
        batch = await made.store.call(lambda o: o.batch("http", 100, 2**20))
        alarms = [json.loads(d.body) for d in batch.derived if d.kind == "alarm"]
        assert [(a["target"], a["count"], a["given_up"], a["dropped"]) for a in alarms] == [
            ("fall/webhook", 1, 1, 0),
            ("fall/webhook", 1, 2, 0),
        ]
        assert alarms[0]["detail"] == f"{far.url} answered 400" and alarms[0]["reason"] == "actions not done"
        assert made.alarms == 2


async def test_what_waits_too_long_is_dropped_and_declared(tmp_path: Path) -> None:
    async with hook(500) as far, acting(tmp_path, ruled(name="fall", webhook=far.url, max_age_s=60)) as made:
        await made.fire()
        await wait_until(lambda: made.actions.errors["fall/webhook"] is not None, "an attempt")
        made.now_s = 61.0
        await wait_until(lambda: made.has("fall/webhook", dropped=1, waiting=0), "the drop")
        await made.fire()
        await wait_until(lambda: made.has("fall/webhook", done=1), "the next")
        assert [body["seq"] for _, body in far.taken] == [1] and made.alarms == 1


async def test_receiver_says_when_to_come_back(tmp_path: Path) -> None:
    async with hook(503) as far, acting(tmp_path, ruled(name="fall", webhook=far.url)) as made:
        far.headers = "Retry-After: 0\r\n"
        await made.fire()
        await wait_until(lambda: made.has("fall/webhook", done=1), "the second attempt")
        far.statuses, far.headers = [429], "Retry-After: 3000\r\n"
        await made.fire()
        await wait_until(lambda: len(far.heard) == 3, "an attempt")
        await made.fire()  # wakes nobody who was told to wait
        await wait_until(lambda: "429" in (made.actions.errors["fall/webhook"] or ""), "the answer")
        assert await made.has("fall/webhook", waiting=2) and len(far.heard) == 3


async def test_answer_that_never_comes_is_another_attempt(tmp_path: Path) -> None:
    async with hook(0) as far, acting(tmp_path, RuleSettings(name="fall", webhook=far.url, timeout_s=0.2)) as made:
        await made.fire()
        await wait_until(lambda: made.has("fall/webhook", done=1), "the second attempt")
        assert len(far.heard) > 1 and len({key for key, _ in far.heard}) == 1


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A broker that anybody may use."""
    with Broker(tmp_path_factory.mktemp("site") / "broker") as broker:
        yield broker


class Listener:
    """A client that keeps what it hears on a topic with its user properties."""

    def __init__(self, port: int, topic: str) -> None:
        self.heard: list[tuple[dict[str, str], dict[str, Any]]] = []
        self.is_ready = False
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        self._client.on_message = self._take
        self._client.on_connect = lambda client, *_: client.subscribe(topic, 1)
        self._client.on_subscribe = lambda *_: setattr(self, "is_ready", True)
        self._client.connect_async("localhost", port)
        self._client.loop_start()

    def _take(self, _client: Any, _data: Any, message: Any) -> None:
        self.heard.append((dict(getattr(message.properties, "UserProperty", [])), json.loads(message.payload)))

    def close(self) -> None:
        """Stop listening."""
        self._client.disconnect()
        self._client.loop_stop()


async def test_topic_gets_each_with_its_key_through_a_restart_of_the_broker(tmp_path: Path, site: Broker) -> None:
    listener = Listener(site.port, "hall/alarm")
    rules = (
        ruled(name="fall", mqtt=site.url, topic="hall/alarm"),
        ruled(name="old", mqtt=site.url, topic="old", protocol="3.1.1"),
    )
    async with acting(tmp_path, *rules) as made:
        await wait_until(lambda: listener.is_ready, "the subscription")
        await made.fire(rules[0])
        await wait_until(lambda: made.has("fall/mqtt", done=1), "the first")
        await asyncio.to_thread(site.stop)
        listener.is_ready = False
        await made.fire(rules[0])
        await made.fire(rules[0])
        await wait_until(lambda: made.actions.errors["fall/mqtt"] is not None, "an attempt")
        await asyncio.to_thread(site.start)
        await wait_until(lambda: made.has("fall/mqtt", done=3, waiting=0), "the rest")
        await made.fire(rules[1])  # without properties
        await wait_until(lambda: made.has("old/mqtt", done=1), "MQTT 3.1.1")
    await asyncio.to_thread(listener.close)
    first = listener.heard[0]
    assert first[0] == {"idempotency-key": f"{made.outbox_id}/detection/1"} and first[1]["key"] == first[0]["idempotency-key"]


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory, fleet: Fleet) -> Iterator[Broker]:
    """A broker that asks for certificates; GATEWAY may write on its own status topic."""
    with start_broker(tmp_path_factory.mktemp("secure") / "data", fleet) as broker:
        yield broker


def server_tls(fleet: Fleet) -> ssl.SSLContext:
    """A server that asks for certificates."""
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=fleet.ca)
    tls.load_cert_chain(fleet.server.certificate, fleet.server.key)
    tls.verify_mode = ssl.CERT_REQUIRED
    return tls


def secured(fleet: Fleet, who: str) -> dict[str, str]:
    """The keys of a table: how somebody speaks TLS."""

    def files(identity: Identity) -> dict[str, str]:
        return {"cert_file": str(identity.certificate), "key_file": str(identity.key)}

    ca = {"ca_file": str(fleet.ca)}
    return {
        "gateway": ca | files(fleet.gateway),
        "nobody": ca,
        "expired": ca | files(fleet.expired),
        "foreign": ca | files(fleet.foreign),
        "trusts another": {"ca_file": str(fleet.foreign_ca)} | files(fleet.gateway),
        "trusts the system": files(fleet.gateway),
    }[who]


STRANGERS = ["nobody", "expired", "foreign", "trusts another", "trusts the system"]


@pytest.mark.parametrize("kind", ["mqtt", "webhook"])
async def test_tls_with_certificates_at_both_ends(tmp_path: Path, fleet: Fleet, secure: Broker, kind: str) -> None:
    async with hook(tls=server_tls(fleet)) as far:
        keys: dict[str, Any] = {"webhook": far.url} if kind == "webhook" else {"mqtt": secure.url, "topic": f"tf/1/{GATEWAY}/status"}
        async with acting(tmp_path, ruled(name="fall", **keys, **secured(fleet, "gateway"))) as made:
            await made.fire()
            await wait_until(lambda: made.has(f"fall/{kind}", done=1), "the action")
        assert len(far.taken) == (kind == "webhook")


@pytest.mark.parametrize("kind", ["mqtt", "webhook"])
@pytest.mark.parametrize("who", STRANGERS)
async def test_tls_refuses_who_is_not_known(tmp_path: Path, fleet: Fleet, secure: Broker, kind: str, who: str) -> None:
    async with hook(tls=server_tls(fleet)) as far:
        keys: dict[str, Any] = {"webhook": far.url} if kind == "webhook" else {"mqtt": secure.url, "topic": f"tf/1/{GATEWAY}/status"}
        rule = ruled(name="fall", **keys, **secured(fleet, who))
        target = open_targets(rule, GATEWAY, context(tmp_path, GATEWAY))[f"fall/{kind}"]
        with pytest.raises(SinkError, match=r"connect|cannot call"):
            await target.act("key", b"{}")
        await target.close()
        assert far.heard == []


def test_file_that_is_no_certificate_is_named(tmp_path: Path) -> None:
    (tmp_path / "wrong.pem").write_text("this is no key", encoding="utf-8")
    for keys in ({"webhook": "https://x"}, {"mqtt": "mqtts://x", "topic": "t"}):
        rule = RuleSettings(name="fall", ca_file="wrong.pem", **keys)
        with pytest.raises(ConfigError, match=r"rule fall: ca_file: cannot use .*wrong\.pem"):
            open_targets(rule, GATEWAY, context(tmp_path, GATEWAY))


class Sampling(FakeBoard):
    """A board that takes commands to measure.

    Attributes:
        asked: What it was told.
        refusals: So many are refused first.
    """

    def __init__(self, refusals: int = 0) -> None:
        super().__init__()
        self.asked: list[dict[str, Any]] = []
        self.refusals = refusals
        self.handlers[(OP.WRITE, int(SmpGroup.TINYFLEET), int(Command.SAMPLING))] = self._sample

    def _sample(self, request: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(request)
        if self.refusals:
            self.refusals -= 1
            return {"err": {"group": int(SmpGroup.TINYFLEET), "rc": 2}}
        return {"running": True, "answers": 0, "late": 0, "max_gap_us": 0}


FASTER = RuleSettings(name="faster", cooldown_s=3600.0, sample_period_ms=10)


async def target(store: StoreThread) -> TargetTotals:
    return (await store.call(lambda o: o.actions.totals()))[0]


async def test_rule_commands_the_device_once_its_detection_is_committed(tmp_path: Path) -> None:
    board = Sampling()
    board.produce(20)
    async with tcp_peer(board) as (url, _), pulling(tmp_path, url, Edge(rules=[FASTER])) as (store, status):
        await wait_until(lambda: status.pulled == 20, "all records")
        await wait_until(lambda: target_is(store, done=1), "the command")
        batch = await store.call(lambda o: o.batch("http", 100, 2**20))
    assert board.asked == [{"period_ms": 10, "seed": 0, "count": 0}]
    assert [json.loads(d.body)["rule"] for d in batch.derived] == ["faster"] and status.failures == 0


async def target_is(store: StoreThread, **counts: int) -> bool:
    totals = await target(store)
    return all(getattr(totals, key) == count for key, count in counts.items())


async def test_command_that_the_device_refuses_is_given_up_and_pulling_goes_on(tmp_path: Path) -> None:
    board = Sampling(refusals=1)
    board.produce(20)
    async with tcp_peer(board) as (url, _), pulling(tmp_path, url, Edge(rules=[FASTER])) as (store, status):
        await wait_until(lambda: status.pulled == 20, "all records")
        await wait_until(lambda: target_is(store, given_up=1, done=0, waiting=0), "the refusal")
        assert status.failures == 0 and len(board.asked) == 1


async def test_command_waits_for_the_next_gateway_but_not_for_the_next_boot(tmp_path: Path) -> None:
    def waiting_in(folder: Path, board: FakeBoard) -> None:
        """As a gateway leaves it that is killed after its commit."""
        folder.mkdir()
        outbox = Outbox(folder / OUTBOX_FILE, gateway_id="gw", targets={"faster/device": 100})
        found = NewDerived("detection", b'{"rule":"faster"}', 0, 0, targets=("faster/device",))
        outbox.append(board.device_id, 1, [], since=0, next_seq=1, lost=0, filtered=1, derived=[found])
        outbox.close()

    quiet = RuleSettings(name="faster", classes=(200,), sample_period_ms=10)
    for folder, boots, done in (("same", 1, 1), ("later", 2, 0)):
        board = Sampling()
        board.produce(3)
        waiting_in(tmp_path / folder, board)
        if boots == 2:
            board.restart()
            board.produce(3)
        async with tcp_peer(board) as (url, _), pulling(tmp_path / folder, url, Edge(rules=[quiet])) as (store, _status):
            await wait_until(lambda: target_is(store, done=done, given_up=1 - done, waiting=0), "an end")  # noqa: B023
        assert len(board.asked) == done


# -- the whole gateway


def configured(folder: Path, urls: list[str], cloud: str, rules: str) -> Path:
    path = write_config(folder, urls, cloud)
    path.write_text(path.read_text(encoding="utf-8").replace("version = 1", "version = 2") + rules, encoding="utf-8")
    return path


def rule_table(name: str, url: str, *more: str) -> str:
    lines = "\n".join(more)
    return f'\n[[rule]]\nname = "{name}"\ncooldown_s = 0\ntimeout_s = 60.0\nwebhook = "{url}"\n{lines}\n'


async def test_sigkill_between_commit_and_delivery_loses_no_action(tmp_path: Path) -> None:
    """Killed while the receiver has the call and has not answered, and again while nobody is there."""
    board = FakeBoard()
    outbox = tmp_path / "gateway data" / OUTBOX_FILE
    gone = Hook()
    async with gone.listening():
        pass
    async with hook(0) as far, tcp_peer(board) as (url, _), running_cloud(tmp_path / "cloud") as cloud:
        path = configured(tmp_path, [url], cloud.url, rule_table("fall", far.url) + rule_table("gone", gone.url))
        async with running_gateway(path):
            board.produce(5)
            await wait_until(lambda: len(far.heard) == 1, "a call that is not answered")
            await wait_until(lambda: cloud.has(stored=5, derived=10), "what was found in the cloud")
        # SIGKILL
        totals = {t.name: t for t in inspect_outbox(outbox)[0].targets}
        assert (totals["fall/webhook"].waiting, totals["gone/webhook"].waiting) == (5, 5)
        async with running_gateway(path) as running:
            await wait_until(lambda: len(far.keys) == 5, "all calls")
            async with gone.listening():
                await wait_until(lambda: len(gone.keys) == 5, "all calls of the other")
                await wait_until(lambda: all(t.done == 5 for t in inspect_outbox(outbox)[0].targets), "all booked")
            assert await running.stop() == 0
        assert far.heard[0][0] == far.heard[1][0], "the same call has the same key"
        assert [body["seq"] for _, body in far.taken] == [body["seq"] for _, body in gone.taken] == [0, 1, 2, 3, 4]


async def test_reload_that_takes_a_rule_away_declares_what_waited_for_it(tmp_path: Path) -> None:
    board = FakeBoard()
    outbox = tmp_path / "gateway data" / OUTBOX_FILE
    gone = Hook()
    async with gone.listening():
        pass
    async with hook() as far, tcp_peer(board) as (url, _), running_cloud(tmp_path / "cloud") as cloud:
        path = configured(tmp_path, [url], cloud.url, rule_table("gone", gone.url) + rule_table("moves", gone.url))
        async with running_gateway(path) as running:
            board.produce(3)
            await wait_until(lambda: cloud.has(stored=3, derived=6), "what was found")
            configured(tmp_path, [url], cloud.url, rule_table("moves", far.url))
            running.process.send_signal(signal.SIGHUP)
            await wait_until(lambda: cloud.has(derived=7), "the alarm")
            await wait_until(lambda: len(far.keys) == 3, "what waited, at the rule's new address")
            await wait_until(lambda: [(t.name, t.done) for t in inspect_outbox(outbox)[0].targets] == [("moves/webhook", 3)], "totals")
            status = await asyncio.to_thread(read_status, load_config(path).data_dir)
            assert status["outbox"]["targets"] == [{"name": "moves/webhook", "waiting": 0, "done": 3, "given_up": 0, "dropped": 0}]
            assert await running.stop() == 0
    with sqlite3.connect(tmp_path / "cloud" / "cloud.db") as db:
        (body,) = [json.loads(row[0]) for row in db.execute("SELECT body FROM derived WHERE kind = 'alarm'")]
    assert (body["reason"], body["detail"]) == ("actions not done", "its rule no longer says so")
    assert (body["target"], body["count"], body["given_up"], body["dropped"]) == ("gone/webhook", 3, 0, 3)
