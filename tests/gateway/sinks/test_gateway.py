"""A real gateway process with several sinks at once, one of which is broken now and then."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from tests.gateway.fake_board import FakeBoard
from tests.gateway.processes import running_gateway, wait_until
from tests.gateway.sinks.peers import GATEWAY, Fleet, local_cloud, mqtt_ingest
from tests.gateway.sinks.test_file import entries_in
from tests.host.peer import tcp_peer
from tinyfleet.demo.broker import Broker


async def test_each_sink_has_its_own_place_and_gets_everything(tmp_path: Path, fleet: Fleet, broker: Broker) -> None:
    board = FakeBoard(bytes([7]) * 16)
    board.produce(100)
    async with (
        tcp_peer(board) as (device, _),
        local_cloud(tmp_path / "near", (fleet.server, fleet.ca)) as near,
        local_cloud(tmp_path / "far") as far,
        mqtt_ingest(broker, fleet, far),
    ):
        who = {"ca_file": str(fleet.ca), "cert_file": str(fleet.gateway.certificate), "key_file": str(fleet.gateway.key)}
        sinks: list[dict[str, object]] = [
            {"type": "http", "url": near.url, **who},
            {"type": "mqtt", "url": broker.url, "timeout_s": 1.0, **who},
            {"type": "file", "folder": "out"},
        ]
        tables = "".join(
            "[[sink]]\nretry_max_s = 0.2\nbatch_records = 11\n" + "".join(f"{k} = {json.dumps(v)}\n" for k, v in table.items())
            for table in sinks
        )
        config = tmp_path / "gateway.toml"
        config.write_text(
            f'version = 2\n[gateway]\nid = "{GATEWAY}"\ndata_dir = "data"\n[[device]]\nurl = "{device}"\npoll_s = 0.02\n{tables}',
            encoding="utf-8",
        )
        async with running_gateway(config):
            await wait_until(lambda: near.store.totals()["stored"] >= 100, "100 records by HTTP")
            await asyncio.to_thread(broker.kill)
            await near.stop()
            board.produce(100)
            await wait_until(lambda: len(entries_in(tmp_path)) >= 200, "200 records in files, while the others are away")
            await asyncio.to_thread(broker.start)
            await near.start()
            await wait_until(lambda: near.store.totals()["stored"] == far.store.totals()["stored"] == 200, "200 records by both")
        for store in (near.store, far.store):
            totals = store.totals()
            assert (totals["stored"], totals["duplicated"], totals["alarms"], totals["lost"], totals["dropped"]) == (200, 0, 0, 0, 0)
            assert {r.envelope.record for r in store.records(limit=1000)} == set(board.history.values())
        assert len(set(entries_in(tmp_path))) == len(entries_in(tmp_path)) == 200
