"""Gateway and cloud as processes over folders that outlive them, to be killed and started again."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import httpx

from tests.campaigns.chaos_kafka import Cluster
from tests.campaigns.chaos_mutants import MUTANTS
from tests.support.no_loss import Holdings, read_holdings
from tinyfleet.cloud.store import CLOUD_FILE
from tinyfleet.demo.broker import Broker
from tinyfleet.demo.process import Process
from tinyfleet.demo.reserved_port import ReservedPort
from tinyfleet.gateway.outbox import OUTBOX_FILE, inspect_outbox
from tinyfleet_codegen.errors import StoreError

PATIENCE_S = 300.0
"""What has not happened by then is a finding, however busy the machine is."""
POLL_S = 0.05
STOP_TIMEOUT_S = 30.0


class Service:
    """One ``tinyfleet WORDS``: killed, started again, always with the same words.

    Args:
        name: Of it and of its log.
        words: After ``tinyfleet``.
        mutant: Name of a bug to bring in, see :mod:`tests.campaigns.chaos_mutants`.
        env: Added to the environment.
    """

    def __init__(self, name: str, words: list[str], logs: Path, *, mutant: str | None = None, env: Mapping[str, str] | None = None) -> None:
        self.name = name
        self.words = words
        self.env = dict(env or {})
        self.process: Process | None = None
        self.starts = 0
        self._frozen: dict[int, int] = {}
        self._log = logs / f"{name}.log"
        mutate = [] if mutant is None or not name.startswith(MUTANTS[mutant][0]) else ["-m", "tests.campaigns.chaos_mutants", mutant]
        self._program = [sys.executable, *(mutate or ["-m", "tinyfleet"])]

    async def start(self) -> None:
        """Start it; returns when it is ready."""
        self.starts += 1
        self.process = await asyncio.to_thread(Process.start, self.name, self.words, self._log, program=self._program, env=self.env)

    @property
    def is_running(self) -> bool:
        """Whether it lives."""
        return self.process is not None and self.process.is_running()

    def freeze(self) -> Callable[[], None]:
        """SIGSTOP; undone when everybody who froze it has called what this returned."""
        process = self.process
        assert process is not None
        self._frozen[process.pid] = self._frozen.get(process.pid, 0) + 1
        process.freeze()

        def thaw() -> None:
            self._frozen[process.pid] -= 1
            if not self._frozen[process.pid]:
                process.thaw()

        return thaw

    async def kill(self) -> None:
        """SIGKILL."""
        if self.process is not None:
            await asyncio.to_thread(self.process.kill)

    async def stop(self) -> None:
        """SIGTERM."""
        if self.process is not None:
            await asyncio.to_thread(self.process.stop)


class Cloud(Service):
    """A cloud that keeps its port and its data over restarts.

    Attributes:
        port: Where it listens.
    """

    def __init__(self, name: str, data_dir: Path, logs: Path, *, mutant: str | None, env: Mapping[str, str]) -> None:
        self._reserved = ReservedPort()
        self.port = self._reserved.number
        super().__init__(name, ["cloud", "serve", "--data", str(data_dir), "--port", str(self.port)], logs, mutant=mutant, env=env)
        self._data_dir = data_dir

    async def holdings(self) -> Holdings:
        """What it has."""
        # A mutant commits late; it is asked first, so that only what a kill took is missing.
        async with httpx.AsyncClient(trust_env=False, timeout=120.0) as client:
            await client.get(f"http://127.0.0.1:{self.port}/v1/summary")
        return await asyncio.to_thread(self.on_disk)

    def on_disk(self) -> Holdings:
        """What its database has now, whether it runs or not."""
        return read_holdings(self._data_dir / CLOUD_FILE)


class Relay:
    """Gateway and cloud; for MQTT and Kafka also a broker, what brings events from there into a cloud, and that cloud.

    Args:
        folder: Gets their folders, logs and configuration.
        device_urls: What the gateway pulls.
        routes: ``http``, ``mqtt``, ``kafka``: ways from the gateway to a cloud of their own.
        gateway_dir: The gateway's data folder, when it is not in ``folder``.
        cloud_dir: Folder for those of the clouds.
        mutant: See :class:`Service`.
        dies: File that makes a mutant die in its window.
        gateway_env: Added to the gateway's environment.
        cloud_env: Added to the clouds'.

    Attributes:
        clouds: One per route.
        ingests: What reads a broker, per route.
    """

    def __init__(
        self,
        folder: Path,
        device_urls: Sequence[str],
        *,
        routes: Sequence[str] = ("http",),
        gateway_dir: Path | None = None,
        cloud_dir: Path | None = None,
        mutant: str | None = None,
        dies: Path | None = None,
        gateway_env: Mapping[str, str] | None = None,
        cloud_env: Mapping[str, str] | None = None,
    ) -> None:
        self.gateway_dir = gateway_dir or folder / "gateway"
        self.config = folder / "gateway.toml"
        self._device_urls = device_urls
        self._folder = folder
        logs = folder / "logs"
        env = {"PYTHONPATH": str(Path(__file__).parents[2])} | ({} if dies is None else {"TINYFLEET_MUTANT_DIES": str(dies)})
        self._mutant, self._env = mutant, env
        self.clouds = {
            route: Cloud(f"cloud_{route}", (cloud_dir or folder) / f"cloud_{route}", logs, mutant=mutant, env=env | dict(cloud_env or {}))
            for route in routes
        }
        words = ["gateway", "run", str(self.config)]
        self.gateway = Service("gateway", words, logs, mutant=mutant, env=env | dict(gateway_env or {}))
        self.broker: Broker | None = None
        self.cluster: Cluster | None = None
        self.ingests: dict[str, Service] = {}

    @property
    def cloud(self) -> Cloud:
        """That of the first route."""
        return next(iter(self.clouds.values()))

    async def start_clouds(self) -> None:
        """Start all that stands behind the gateway."""
        await asyncio.gather(*(cloud.start() for cloud in self.clouds.values()), self._start_brokers())
        sources = {"mqtt": self.broker, "kafka": self.cluster}
        await asyncio.gather(*(self._start_ingest(route, source.url) for route, source in sources.items() if source is not None))

    async def _start_brokers(self) -> None:
        if "mqtt" in self.clouds:
            self.broker = await asyncio.to_thread(Broker, self._folder / "broker")
        if "kafka" in self.clouds:
            self.cluster = Cluster(self._folder / "logs")
            await self.cluster.open()

    async def _start_ingest(self, route: str, source: str) -> None:
        words = ["cloud", "ingest", "--from", source, "--to", f"http://127.0.0.1:{self.clouds[route].port}"]
        self.ingests[route] = Service(f"ingest_{route}", words, self._folder / "logs", mutant=self._mutant, env=self._env)
        await self.ingests[route].start()

    def configure(self, sinks: str, *, outbox: str = "", edge: str = "", max_records: int = 64, poll_s: float = 0.05) -> None:
        """Write the gateway's configuration."""
        devices = "".join(
            f"[[device]]\nurl = {json.dumps(url)}\ntimeout_s = 5.0\npoll_s = {poll_s}\nmax_records = {max_records}\n\n"
            for url in self._device_urls
        )
        gateway = f'[gateway]\nid = "chaos"\ndata_dir = {json.dumps(str(self.gateway_dir))}\n'
        self.config.write_text(f"version = 2\n\n{gateway}\n{devices}{sinks}{edge}\n[outbox]\n{outbox}\n", encoding="utf-8")

    def http_sink(self, port: int | None = None) -> str:
        """A ``[[sink]]`` table for the first cloud, or for what stands before it."""
        url = f"http://127.0.0.1:{port or self.cloud.port}"
        return f'[[sink]]\ntype = "http"\nurl = "{url}"\ntimeout_s = 30.0\nretry_max_s = 0.5\nbatch_records = 100\n\n'

    def mqtt_sink(self, port: int | None = None) -> str:
        """A ``[[sink]]`` table for the broker, or for what stands before it."""
        assert self.broker is not None
        url = f"mqtt://127.0.0.1:{port or self.broker.port}"
        return f'[[sink]]\ntype = "mqtt"\nurl = "{url}"\ntimeout_s = 30.0\nretry_max_s = 0.5\nbatch_records = 100\n\n'

    def kafka_sink(self) -> str:
        """A ``[[sink]]`` table for the cluster. An entry is kept until the cluster has it: then its end alone can lose some."""
        assert self.cluster is not None
        keys = f'url = "{self.cluster.url}"\nhold = true\ntimeout_s = 30.0\nretry_max_s = 0.5\nbatch_records = 100'
        return f'[[sink]]\ntype = "kafka"\n{keys}\n\n'

    def cursor(self, device_id: bytes, boot_id: int) -> int | None:
        """The gateway's committed cursor; None: the outbox cannot be read now."""
        try:
            boots = inspect_outbox(self.gateway_dir / OUTBOX_FILE)[1]
        except (StoreError, sqlite3.Error):
            return None
        return next((boot.next_seq for boot in boots if (boot.device_id, boot.boot_id) == (device_id, boot_id)), 0)

    async def until_known(self, device_ids: Iterable[bytes]) -> None:
        """Wait until the gateway has pulled records of each.

        Raises:
            TimeoutError: it has not.
        """
        waited_for = set(device_ids)
        async with asyncio.timeout(PATIENCE_S):
            while waited_for:
                with contextlib.suppress(StoreError, sqlite3.Error):
                    waited_for -= {boot.device_id for boot in inspect_outbox(self.gateway_dir / OUTBOX_FILE)[1] if boot.next_seq}
                await asyncio.sleep(POLL_S)

    async def until_drained(self, cursors: Mapping[tuple[bytes, int], int], *, timeout_s: float = PATIENCE_S) -> None:
        """Wait until the gateway has pulled up to these cursors, and nothing waits in it.

        Raises:
            TimeoutError: with what is missing.
        """
        state = "the outbox cannot be read"
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    try:
                        depth, boots = inspect_outbox(self.gateway_dir / OUTBOX_FILE)
                    except (StoreError, sqlite3.Error):
                        await asyncio.sleep(POLL_S)
                        continue
                    at = {(b.device_id, b.boot_id): b.next_seq for b in boots}
                    behind = {f"{d.hex()[:8]}/{b}": f"{at.get((d, b), 0)} of {n}" for (d, b), n in cursors.items() if at.get((d, b), 0) < n}
                    state = f"{depth.waiting} wait, behind: {behind}"
                    if not behind and not depth.waiting and not depth.refused:
                        return
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            raise TimeoutError(f"not drained within {timeout_s:g} s: {state}") from None

    async def close(self) -> None:
        """End all."""
        for service in (self.gateway, *self.ingests.values(), *self.clouds.values()):
            await service.kill()
        if self.broker is not None:
            await asyncio.to_thread(self.broker.kill)
        if self.cluster is not None:
            await self.cluster.close()
