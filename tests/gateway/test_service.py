from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.fake_board import FakeBoard
from tests.gateway.processes import Cloud, running_cloud, running_gateway, wait_until, write_config
from tests.host.peer import tcp_peer
from tests.support.patience import HANG_S
from tinyfleet.gateway.config import load_config
from tinyfleet.gateway.status import read_status


async def gateway(*arguments: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tinyfleet", "gateway", *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await asyncio.wait_for(process.communicate(), HANG_S)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


def status(config: Path) -> dict[str, Any]:
    """What the command prints, without starting a process each time."""
    return read_status(load_config(config).data_dir)


async def test_status_tells_the_truth_while_running_and_afterwards(tmp_path: Path) -> None:
    board = FakeBoard()
    board.produce(30)
    async with tcp_peer(board) as (url, _), running_cloud(tmp_path / "cloud") as cloud:
        config = write_config(tmp_path, [url], cloud.url)
        async with running_gateway(config) as running:
            await wait_until(lambda: cloud.has(stored=30), "all records in the cloud")
            await cloud.kill()
            board.produce(12)

            await wait_until(lambda: status(config)["outbox"]["waiting"] == 12, "12 records in the outbox")
            # The outbox is read as it is now, the devices from a file that the gateway replaces once a second.
            await wait_until(lambda: status(config)["devices"][0]["device_id"] == board.device_id.hex(), "the device in the status")
            code, out, err = await gateway("status", str(config), "--json")
            assert code == 0, err
            found = json.loads(out)
            assert found["running"] is True
            assert found["pid"] == running.process.pid
            assert found["devices"][0]["device_id"] == board.device_id.hex()
            code, out, _ = await gateway("check", str(config))
            assert (code, "12 waiting" in out) == (0, True)
            code, _, err = await gateway("run", str(config))
            assert code == 1 and "another gateway uses" in err and "Traceback" not in err
            assert await running.stop() == 0
        found = status(config)
        assert (found["running"], found["outbox"]["waiting"]) == (False, 12)
        code, out, _ = await gateway("status", str(config))
        assert code == 0 and "not running" in out and "12 waiting" in out


async def test_wrong_configuration_is_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text("version = 1\n[gateway]\nid = 5\n", encoding="utf-8")
    for command in ("run", "check", "status"):
        code, out, err = await gateway(command, str(path))
        assert (code, out) == (1, "")
        assert "gateway.id = 5: allowed: 1 to 64 letters" in err and "hint:" in err and "Traceback" not in err


async def test_status_without_a_gateway_is_one_clear_error(tmp_path: Path) -> None:
    config = write_config(tmp_path, ["tcp://127.0.0.1:1"], "http://127.0.0.1:1")
    code, _, err = await gateway("status", str(config))
    assert code == 1 and "no gateway has run in" in err and "hint:" in err
    code, _, err = await gateway("check", str(config))
    assert code == 0, err
    assert not load_config(config).data_dir.exists()


async def test_token_is_needed_where_one_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    board = FakeBoard()
    board.produce(10)
    (tmp_path / "right").write_text("s3cret-token\n", encoding="utf-8")
    (tmp_path / "wrong").write_text("other-token\n", encoding="utf-8")
    monkeypatch.setenv("TINYFLEET_CLOUD_TOKEN", "s3cret-token")
    async with tcp_peer(board) as (url, _), running_cloud(tmp_path / "cloud") as cloud:
        config = write_config(tmp_path, [url], cloud.url, sink='token_file = "wrong"')
        async with running_gateway(config):
            await wait_until(lambda: "401" in str(status(config)["sinks"]), "401 in the status")
        config = write_config(tmp_path, [url], cloud.url, sink='token_file = "right"')
        async with running_gateway(config):
            await wait_until(lambda: status(config)["sinks"][0]["delivered"] == 10, "delivery with the right token")
        assert "s3cret" not in (tmp_path / "gateway data" / "status.json").read_text(encoding="utf-8")


async def test_dropped_records_are_reported_to_the_cloud(tmp_path: Path) -> None:
    board = FakeBoard()
    board.produce(4000)
    cloud = Cloud(tmp_path / "cloud")
    await cloud.start()
    await cloud.kill()
    async with tcp_peer(board) as (url, _):
        config = write_config(tmp_path, [url], cloud.url, outbox="max_bytes = 262144")
        async with running_gateway(config):
            await wait_until(lambda: [b["next_seq"] for b in status(config)["boots"]] == [4000], "all records pulled")
            try:
                await cloud.start()

                async def accounted() -> bool:
                    summary = await cloud.summary()
                    return bool(summary.get("dropped", 0)) and summary["stored"] + summary["dropped"] == 4000

                await wait_until(accounted, "every record stored or reported as dropped")
            finally:
                await cloud.kill()


async def test_a_sink_that_is_down_holds_what_it_needs_and_nobody_else(tmp_path: Path) -> None:
    board = FakeBoard()
    second = Cloud(tmp_path / "second")
    await second.start()
    await second.kill()
    async with tcp_peer(board) as (url, _), running_cloud(tmp_path / "cloud") as cloud:
        config = write_config(tmp_path, [url], cloud.url)
        text = config.read_text(encoding="utf-8").replace("version = 1", "version = 2")
        config.write_text(text + f'\n[[sink]]\ntype = "http"\nname = "down"\nurl = "{second.url}"\nretry_max_s = 0.2\n', encoding="utf-8")
        async with running_gateway(config) as running:
            board.produce(50)
            await wait_until(lambda: cloud.has(stored=50), "all records in the cloud that is there")
            places = {s["name"]: (s["waiting"], s["dropped"]) for s in status(config)["outbox"]["sinks"]}
            assert places["down"] == (50, 0)
            await running.kill()
        await second.start()
        try:
            async with running_gateway(config):
                board.produce(10)
                await wait_until(lambda: second.has(stored=60), "all records in the cloud that was down")
                await wait_until(lambda: cloud.has(stored=60), "all records in the other one")
                await wait_until(lambda: status(config)["outbox"]["waiting"] == 0, "an empty outbox")
        finally:
            await second.kill()
        assert (await cloud.summary())["duplicated"] == 0
