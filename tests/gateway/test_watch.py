"""Watching a gateway: its metrics, its health, and the rules, which promtool checks and a real Prometheus works off."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.gateway.fake_board import FakeBoard
from tests.gateway.processes import Cloud, running_cloud, running_gateway, wait_until, write_config
from tests.host.peer import tcp_peer
from tests.support.patience import HANG_S
from tinyfleet.demo.reserved_port import ReservedPort
from tinyfleet.deploy.dashboards import DASHBOARD, PANELS, dashboard_json
from tinyfleet.deploy.monitoring import write_monitoring
from tinyfleet.gateway.histogram import DELIVERY_BUCKETS_S, Histogram
from tinyfleet.gateway.log_format import JsonFormatter
from tinyfleet_codegen.errors import UsageError

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def watched(config: Path) -> Path:
    """With metrics on a free port."""
    text = config.read_text(encoding="utf-8").replace("version = 1", "version = 2")
    config.write_text(text.replace('id = "test-gateway"', 'id = "test-gateway"\nmetrics_port = 0'), encoding="utf-8")
    return config


@asynccontextmanager
async def relay(folder: Path, board: FakeBoard) -> AsyncIterator[tuple[Cloud, str, Callable[[], None]]]:
    """A cloud and a gateway for the board; yields the URL of its metrics, and what cuts the link."""
    async with AsyncExitStack() as stack:
        cloud = await stack.enter_async_context(running_cloud(folder / "cloud"))
        url, cut = await stack.enter_async_context(tcp_peer(board))
        gateway = await stack.enter_async_context(running_gateway(watched(write_config(folder, [url], cloud.url))))
        yield cloud, gateway.facts["metrics"], cut


async def get(url: str) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False, timeout=HANG_S) as client:
        return await client.get(url)


async def scrape(url: str) -> Samples:
    text = (await get(url)).raise_for_status().text
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float:
    found = [v for (n, pairs), v in samples.items() if n == name and labels.items() <= dict(pairs).items()]
    assert len(found) == 1, f"{name} {labels}: {len(found)} samples"
    return found[0]


async def test_metrics_say_what_happened_and_health_says_what_is_wrong(tmp_path: Path) -> None:
    board = FakeBoard()
    board.produce(60)
    async with relay(tmp_path, board) as (cloud, metrics, _):
        await wait_until(lambda: cloud.has(stored=60), "all records")

        async def is_settled() -> bool:
            return value(await scrape(metrics), "tinyfleet_outbox_waiting", sink="http") == 0

        await wait_until(is_settled, "an empty outbox")
        samples = await scrape(metrics)
        assert value(samples, "tinyfleet_records_pulled_total") == value(samples, "tinyfleet_outbox_delivered_total", sink="http") == 60
        assert value(samples, "tinyfleet_device_up", device_id=board.device_id.hex()) == 1
        assert value(samples, "tinyfleet_inference_seconds_count") == 60
        assert 0.0009 * 60 <= value(samples, "tinyfleet_inference_seconds_sum") <= 0.001 * 60
        assert value(samples, "tinyfleet_inference_seconds_bucket", le="0.001") == 60
        assert value(samples, "tinyfleet_delivery_seconds_count", sink="http") >= 6
        assert value(samples, "tinyfleet_round_trip_seconds_count") >= 60 / 7
        assert value(samples, "tinyfleet_outbox_oldest_seconds") == 0
        assert value(samples, "process_resident_memory_bytes") > 2**24
        base = metrics.removesuffix("/metrics")
        for path in ("healthz", "readyz"):
            answer = await get(f"{base}/{path}")
            assert (answer.status_code, answer.json()) == (200, {"ok": True, "problems": []})
        assert (await get(f"{base}/other")).status_code == 404
        async with httpx.AsyncClient(trust_env=False, timeout=HANG_S) as client:
            assert (await client.post(f"{base}/metrics")).status_code == 405
        await cloud.kill()
        board.produce(5)

        async def is_behind() -> bool:
            later = await scrape(metrics)
            return value(later, "tinyfleet_outbox_waiting", sink="http") == 5 and value(later, "tinyfleet_sink_up", sink="http") == 0

        await wait_until(is_behind, "five waiting for a cloud that is gone")


async def test_a_gateway_without_a_device_is_healthy_and_not_ready(tmp_path: Path) -> None:
    with ReservedPort() as nobody:
        config = watched(write_config(tmp_path, [f"tcp://127.0.0.1:{nobody.number}"], "http://127.0.0.1:9"))
        async with running_gateway(config) as gateway:
            base = gateway.facts["metrics"].removesuffix("/metrics")
            assert (await get(f"{base}/healthz")).status_code == 200
            answer = await get(f"{base}/readyz")
            assert (answer.status_code, answer.json()["problems"]) == (503, ["no device is connected"])
            # A client that says nothing, or nonsense, holds up nobody.
            reader, writer = await asyncio.open_connection("127.0.0.1", int(base.rpartition(":")[2]))
            writer.write(b"nonsense\r\n\r\n")
            assert b"400" in await asyncio.wait_for(reader.readline(), HANG_S)
            writer.close()


def promtool(*arguments: str | Path) -> str:
    program = shutil.which("promtool")
    assert program, "prometheus brings promtool; ./run test brings prometheus"
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, timeout=HANG_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_promtool_accepts_configuration_and_rules_and_every_alert_fires_when_it_should(tmp_path: Path) -> None:
    write_monitoring(tmp_path, ["gw1:9464", "[::1]:9464"])
    promtool("check", "config", tmp_path / "prometheus/prometheus.yml")
    rules = tmp_path / "prometheus/tinyfleet.rules.yml"
    alerts = {
        rule["alert"] for group in yaml.safe_load(rules.read_text(encoding="utf-8"))["groups"] for rule in group["rules"] if "alert" in rule
    }
    series = {
        "TinyfleetGatewayDown": ('up{job="tinyfleet"}', "0x40", "1x40"),
        "TinyfleetDeviceDown": ("tinyfleet_device_up", "0x40", "1x40"),
        "TinyfleetSinkDown": ("tinyfleet_sink_up", "0x40", "1x40"),
        "TinyfleetOutboxFilling": ("tinyfleet_outbox_used_bytes", "90x40", "70x40"),
        "TinyfleetOutboxOld": ("tinyfleet_outbox_oldest_seconds", "901x40", "899x40"),
        "TinyfleetActionsNotDone": ('tinyfleet_actions_dropped_total{target="fall/webhook"}', "0+1x40", "7x40"),
        "TinyfleetActionsWaiting": ('tinyfleet_actions_waiting{target="fall/webhook"}', "3x40", "0x40"),
        "TinyfleetRecordsDropped": ("tinyfleet_outbox_dropped_total", "0+1x40", "7x40"),
        "TinyfleetRecordsLost": ("tinyfleet_records_lost_total", "0+1x40", "7x40"),
        "TinyfleetRecordsRefused": ("tinyfleet_outbox_refused", "1x40", "0x40"),
        "TinyfleetDeliverySlow": ("tinyfleet_delivery_seconds_bucket", "0+1x40", "0+100x40"),
    }
    assert set(series) == alerts
    tests = []
    for alert, (name, bad, good) in series.items():
        for values, is_expected in ((bad, True), (good, False)):
            inputs = [{"series": "tinyfleet_outbox_max_bytes", "values": "100x40"}]
            if name.endswith("_bucket"):
                # Of 100 a minute, all or only some are within the budget.
                inputs += [{"series": f'{name}{{le="{end}"}}', "values": "0+100x40"} for end in ("0.3", "+Inf")]
                name_and_labels = f'{name}{{le="0.25"}}'
            else:
                name_and_labels = name
            inputs.append({"series": name_and_labels, "values": values})
            query = f'count(ALERTS{{alertname="{alert}", alertstate="firing"}}) or vector(0)'
            sample = {"labels": "{}", "value": 1 if is_expected else 0}
            tests.append({
                "interval": "1m",
                "input_series": inputs,
                "promql_expr_test": [{"expr": query, "eval_time": "30m", "exp_samples": [sample]}],
            })  # fmt: skip
    unit_tests = tmp_path / "tests.yml"
    unit_tests.write_text(json.dumps({"rule_files": [str(rules)], "evaluation_interval": "1m", "tests": tests}), encoding="utf-8")
    promtool("test", "rules", unit_tests)


async def test_a_real_prometheus_scrapes_a_gateway_and_fires_an_alert_when_a_device_goes(tmp_path: Path) -> None:
    board = FakeBoard()
    board.produce(20)
    async with relay(tmp_path, board) as (cloud, metrics, cut):
        await wait_until(lambda: cloud.has(stored=20), "all records")
        async with real_prometheus(tmp_path, metrics) as prometheus:

            async def answer(query: str) -> list[float]:
                found = (await get(f"{prometheus}/api/v1/query?query={query}")).json()["data"]["result"]
                return [float(series["value"][1]) for series in found]

            async def has_pulled() -> bool:
                return await answer("tinyfleet_records_pulled_total") == [20.0]

            await wait_until(has_pulled, "a scrape")
            assert await answer("tinyfleet_device_up") == [1.0]

            async def alerts() -> dict[str, str]:
                found = (await get(f"{prometheus}/api/v1/alerts")).json()["data"]["alerts"]
                return {alert["labels"]["alertname"]: alert["state"] for alert in found}

            assert "TinyfleetDeviceDown" not in await alerts()
            board.silent_requests = 10**9
            cut()

            async def fires() -> bool:
                return (await alerts()).get("TinyfleetDeviceDown") == "firing"

            await wait_until(fires, "the alert")


@asynccontextmanager
async def real_prometheus(folder: Path, metrics_url: str) -> AsyncIterator[str]:
    """Prometheus with our files, a second between two scrapes, and alerts that wait for a second instead of minutes."""
    program = shutil.which("prometheus")
    assert program, "./run test brings prometheus"
    target = metrics_url.removeprefix("http://").removesuffix("/metrics")
    write_monitoring(folder, [target])
    for path in (folder / "prometheus").iterdir():
        text = path.read_text(encoding="utf-8")
        path.write_text(re.sub(r"(_interval: )15s", r"\g<1>1s", re.sub(r"(for: )\d+m", r"\g<1>1s", text)), encoding="utf-8")
    port = ReservedPort()
    address = f"127.0.0.1:{port.number}"
    command = [program, f"--config.file={folder}/prometheus/prometheus.yml", f"--storage.tsdb.path={folder}/tsdb"]
    with (folder / "prometheus.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(*command, f"--web.listen-address={address}", stdout=log, stderr=log)
    try:

        async def is_ready() -> bool:
            assert process.returncode is None, (folder / "prometheus.log").read_text(encoding="utf-8")[-2000:]
            try:
                return (await get(f"http://{address}/-/ready")).status_code == 200
            except httpx.TransportError:
                return False

        await wait_until(is_ready, "Prometheus")
        yield f"http://{address}"
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        port.close()


def test_the_dashboard_is_fresh_and_asks_for_what_there_is() -> None:
    assert DASHBOARD.read_text(encoding="utf-8") == dashboard_json(), "python -m tinyfleet.deploy.dashboards --write"
    sources = (Path(__file__).parents[2] / "host_sdk/tinyfleet/gateway/metrics.py").read_text(encoding="utf-8")
    rules = (DASHBOARD.parents[1] / "prometheus/tinyfleet.rules.yml").read_text(encoding="utf-8")
    known = set(re.findall(r'"(tinyfleet_\w+)"', sources)) | set(re.findall(r"record: (\S+)", rules))
    known |= {f"tinyfleet_outbox_{name}" for name in ("delivered", "dropped", "filtered")}
    asked = [expression for _, panels in PANELS for _, queries, _ in panels for expression, _ in queries]
    for text in [*asked, *re.findall(r"expr: (.*)", rules)]:
        for name in re.findall(r"tinyfleet[_:][a-z0-9_:]+", text):
            assert name in known or re.sub(r"_(total|bucket)$", "", name) in known, name


def test_a_target_that_is_none_is_refused(tmp_path: Path) -> None:
    for target in ("gw1", "gw1:x", 'a"]:1', "http://gw1:9464"):
        with pytest.raises(UsageError, match="HOST:PORT"):
            write_monitoring(tmp_path, [target])


def test_histograms_count_into_the_bucket_that_ends_at_the_value() -> None:
    histogram = Histogram(DELIVERY_BUCKETS_S)
    for seconds in (0.001, 0.25, 0.2500001, 99.0):
        histogram.observe(seconds)
    pairs = dict(histogram.cumulative())
    assert (pairs["0.2"], pairs["0.25"], pairs["0.3"], pairs["10.0"], pairs["+Inf"]) == (1, 2, 3, 3, 4)


def test_log_lines_become_objects_with_their_pairs_as_members() -> None:
    def line(message: str, *arguments: object) -> dict[str, object]:
        record = logging.LogRecord("tinyfleet.x", logging.WARNING, "x.py", 1, message, arguments, None)
        return dict(json.loads(JsonFormatter().format(record)))

    connected = line("device connected url=%s boot=%d", "tcp://a:1", 7)
    assert (connected["event"], connected["url"], connected["boot"], connected["level"]) == ("device connected", "tcp://a:1", 7, "WARNING")
    assert line("cannot write the status file: %s", "full")["event"] == "cannot write the status file: full"
    assert line("mixed %s url=%s", "a", "b")["event"] == "mixed a url=b"
    assert line("a time=%s", "x")["time"] != "x"
    assert line("plain 100%")["event"] == "plain 100%"
