"""What every sink promises, each with its real peer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.gateway.sinks.batches import Source, entries, largest_window
from tests.gateway.sinks.peers import GATEWAY, Fleet
from tests.gateway.sinks.rigs import RIGS, Bench, Rig
from tests.support.patience import HANG_S
from tinyfleet.gateway.config import _sink_type, load_config
from tinyfleet.gateway.service import check_sinks
from tinyfleet.gateway.sinks import SINKS
from tinyfleet.gateway.sinks.sink import BatchTooLarge, Delivered, RetryLater, Sink
from tinyfleet.telemetry import Batch
from tinyfleet_codegen.errors import SinkError


@pytest.fixture(params=list(RIGS))
async def rig(request: pytest.FixtureRequest, tmp_path: Path, fleet: Fleet) -> AsyncIterator[Rig]:
    bench = Bench(tmp_path, fleet, lambda: request.getfixturevalue("broker"), lambda: request.getfixturevalue("kafka"))
    async with RIGS[request.param](bench) as made:
        yield made


@pytest.fixture(params=[name for name in RIGS if name != "file"])
async def answering_rig(request: pytest.FixtureRequest, tmp_path: Path, fleet: Fleet) -> AsyncIterator[Rig]:
    """A peer that can be late."""
    bench = Bench(tmp_path, fleet, lambda: request.getfixturevalue("broker"), lambda: request.getfixturevalue("kafka"))
    async with RIGS[request.param](bench) as made:
        assert made.impatient
        yield made


async def until_delivered(sink: Sink, batch: Batch) -> Delivered:
    """What the gateway's sender does: again, until it worked."""
    async with asyncio.timeout(HANG_S):
        while True:
            try:
                return await sink.deliver(batch)
            except (SinkError, RetryLater):
                await asyncio.sleep(0.05)


async def until_given_up(sink: Sink, batch: Batch, why: str) -> SinkError:
    """The error of a delivery that is given up for this reason; again where a machine that stood still gave another one."""
    async with asyncio.timeout(HANG_S):
        while True:
            with pytest.raises(SinkError) as given_up:
                await sink.deliver(batch)
            if why in str(given_up.value):
                return given_up.value
            print(given_up.value)


def identities(source: Source) -> list[tuple[str, int]]:
    return [(e.identity.device_id.hex(), e.identity.seq) for e in source.made]


def per_device(rows: list[tuple[str, int]]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for device, seq in rows:
        found.setdefault(device, []).append(seq)
    return found


def test_every_sink_has_a_rig() -> None:
    # OPC UA is a server: nobody takes what it shows, so there is nobody to be away or late. test_opcua has what is left.
    # The services behind the other brokers cannot be had: test_profiles has what mosquitto can show of them.
    assert {_sink_type(settings) for settings in SINKS} == {*RIGS, "opcua", "aws_iot", "azure_iot", "sparkplug_b"}


async def test_all_of_a_batch_arrives_once_and_in_order(rig: Rig) -> None:
    source = Source(GATEWAY, devices=3)
    sink = rig.open()
    for count in (1, 40, 300):
        batch = source.batch(count, derived=1, reports=[source.report(count)])
        assert await sink.deliver(batch) == Delivered(entries(batch))
    only_reports = source.batch(0, reports=[source.report(400)])
    assert await sink.deliver(only_reports) == Delivered(frozenset())
    await sink.close()
    assert per_device(await rig.received()) == per_device(identities(source))


async def test_same_entries_again_are_accepted_again_and_not_doubled(rig: Rig) -> None:
    source = Source(GATEWAY)
    sink = rig.open()
    batch = source.batch(30, derived=1)
    assert await sink.deliver(batch) == await sink.deliver(batch) == Delivered(entries(batch))
    await sink.close()
    again = rig.open()
    longer = Batch(batch.gateway_id, batch.outbox_id, (*batch.envelopes[20:], *source.batch(5).envelopes))
    assert await again.deliver(longer) == Delivered(entries(longer))
    await again.close()
    assert await rig.received() == identities(source)


async def test_peer_that_was_away_gets_everything_afterwards(rig: Rig) -> None:
    source = Source(GATEWAY, devices=2)
    sink = rig.open(**rig.impatient)
    await until_delivered(sink, source.batch(10))
    await rig.stop_peer()
    batch = source.batch(10)
    with pytest.raises((SinkError, RetryLater)):
        await sink.deliver(batch)
    await rig.start_peer()
    assert await until_delivered(sink, batch) == Delivered(entries(batch))
    await sink.close()
    assert per_device(await rig.received()) == per_device(identities(source))


async def test_slow_peer_is_given_up_and_its_late_answer_does_no_harm(answering_rig: Rig) -> None:
    rig, source = answering_rig, Source(GATEWAY)
    sink = rig.open(**rig.impatient)
    rig.hold_answers()
    batch = source.batch(10)
    with pytest.raises(SinkError):
        await sink.deliver(batch)
    rig.let_answers_go()
    assert await until_delivered(sink, batch) == Delivered(entries(batch))
    await sink.close()
    assert await rig.received() == identities(source)


async def test_cancelled_delivery_leaves_a_sink_that_works(answering_rig: Rig) -> None:
    rig, source = answering_rig, Source(GATEWAY)
    sink = rig.open()
    await sink.deliver(source.batch(1))
    rig.hold_answers()
    batch = source.batch(20)
    delivering = asyncio.create_task(sink.deliver(batch))
    await asyncio.sleep(0.1)  # the moment is any
    delivering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await delivering
    rig.let_answers_go()
    assert await until_delivered(sink, batch) == Delivered(entries(batch))
    await sink.close()
    assert await rig.received() == identities(source)


@pytest.mark.parametrize("moment_s", [0.0, 0.1])
async def test_close_while_delivering_ends_the_delivery(answering_rig: Rig, moment_s: float) -> None:
    rig, source = answering_rig, Source(GATEWAY)
    sink = rig.open()
    rig.hold_answers()
    batch = source.batch(20)
    delivering = asyncio.create_task(sink.deliver(batch))
    await asyncio.sleep(moment_s)  # within its first step, and anywhere
    # A time-out of the sink's own would not have run out by then.
    async with asyncio.timeout(HANG_S / 2):
        await sink.close()
        await asyncio.gather(delivering, return_exceptions=True)
    rig.let_answers_go()
    again = rig.open()
    assert await until_delivered(again, batch) == Delivered(entries(batch))
    await again.close()
    assert await rig.received() == identities(source)


async def test_batch_that_is_too_large_is_said_to_be_and_a_smaller_one_is_taken(rig: Rig) -> None:
    source = Source(GATEWAY)
    sink = rig.open()
    batch = source.batch(5001)
    try:
        assert await sink.deliver(batch) == Delivered(entries(batch))
    except BatchTooLarge:
        assert rig.limits_batches
    else:
        assert not rig.limits_batches
    half = Batch(batch.gateway_id, batch.outbox_id, batch.envelopes[:100])
    assert await until_delivered(sink, half) == Delivered(entries(half))
    await sink.close()


async def test_the_largest_window_is_taken_or_said_to_be_too_large_and_what_follows_it_is_taken(rig: Rig) -> None:
    source = Source(GATEWAY)
    sink = rig.open()
    before, after = source.batch(1), source.batch(1)
    alone = largest_window(source)
    assert await until_delivered(sink, before) == Delivered(entries(before))
    try:
        assert await sink.deliver(alone) == Delivered(entries(alone))
    except BatchTooLarge:
        assert rig.limits_batches
    assert await until_delivered(sink, after) == Delivered(entries(after))
    await sink.close()


async def test_gateway_check_opens_every_kind_of_sink_and_contacts_nobody(
    tmp_path: Path, fleet: Fleet, recwarn: pytest.WarningsRecorder
) -> None:
    (tmp_path / "key").write_text("a2V5\n", encoding="utf-8")
    certificate = f'cert_file = "{fleet.gateway.certificate}"\nkey_file = "{fleet.gateway.key}"\n'
    tables = {
        "http": f'url = "https://localhost:1"\n{certificate}',
        "mqtt": f'url = "mqtts://localhost:1"\n{certificate}',
        "file": 'folder = "absent"',
        "kafka": 'url = "kafka://localhost:1"',
        "opcua": f'url = "opc.tcp://127.0.0.1:1"\nclient_ca_file = "{fleet.ca}"\n{certificate}',
        "aws_iot": f'url = "mqtts://localhost:1"\n{certificate}',
        "azure_iot": 'url = "mqtts://localhost:1"\nkey_base64_file = "key"',
        "sparkplug_b": 'url = "mqtt://localhost:1"',
    }
    assert set(tables) == {_sink_type(settings) for settings in SINKS}
    sinks = "".join(f'[[sink]]\ntype = "{kind}"\n{table}\n' for kind, table in tables.items())
    path = tmp_path / "gateway.toml"
    path.write_text(
        f'version = 2\n[gateway]\nid = "{GATEWAY}"\ndata_dir = "data"\n[[device]]\nurl = "tcp://localhost:1"\n{sinks}', encoding="utf-8"
    )
    await check_sinks(load_config(path))
    assert not (tmp_path / "absent").exists()
    assert [str(w.message) for w in recwarn if "never awaited" in str(w.message)] == []
