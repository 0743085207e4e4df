"""Gateway and cloud as the real processes that they are, to be killed."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.support.patience import HANG_S
from tinyfleet.demo.reserved_port import ReservedPort


class Service:
    """One ``tinyfleet`` process that announces itself with one JSON line."""

    def __init__(self, process: asyncio.subprocess.Process, facts: dict[str, Any]) -> None:
        self.process = process
        self.facts = facts

    @classmethod
    async def start(cls, *arguments: str) -> Service:
        """Start and wait until it has announced itself."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tinyfleet", *arguments, "--json", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), HANG_S)
        assert line, f"{arguments} ended with {await process.wait()} before it announced itself"
        return cls(process, json.loads(line))

    async def kill(self) -> None:
        """SIGKILL, if it still runs."""
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()

    async def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        self.process.terminate()
        return await asyncio.wait_for(self.process.wait(), HANG_S)


class Cloud:
    """A cloud that keeps its address and its data over restarts."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self.service: Service | None = None
        self._reserved = ReservedPort()
        self.port = self._reserved.number

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Start it; again: on the port that it had."""
        self.service = await Service.start("cloud", "serve", "--data", str(self._data_dir), "--port", str(self.port))

    async def kill(self) -> None:
        """SIGKILL."""
        if self.service is not None:
            await self.service.kill()

    async def has(self, **counts: int) -> bool:
        """Whether the summary names each of these counts, or more."""
        summary = await self.summary()
        return bool(summary) and all(summary[name] >= count for name, count in counts.items())

    async def records(self) -> list[dict[str, Any]]:
        """Its last records as it lists them."""
        async with httpx.AsyncClient(base_url=self.url, trust_env=False, timeout=HANG_S) as client:
            return list((await client.get("/v1/records?last=1000")).json()["records"])

    async def summary(self) -> dict[str, Any]:
        """Its counts; empty while it does not answer."""
        try:
            async with httpx.AsyncClient(base_url=self.url, trust_env=False, timeout=HANG_S) as client:
                answer = (await client.get("/v1/summary")).json()
                return dict(answer)
        except httpx.HTTPError:
            return {}


@asynccontextmanager
async def running_cloud(data_dir: Path) -> AsyncIterator[Cloud]:
    """A cloud that is gone at the end."""
    cloud = Cloud(data_dir)
    try:
        await cloud.start()
        yield cloud
    finally:
        await cloud.kill()


@asynccontextmanager
async def running_gateway(config: Path) -> AsyncIterator[Service]:
    """A gateway that is gone at the end."""
    service = await Service.start("gateway", "run", str(config))
    try:
        yield service
    finally:
        await service.kill()


def write_config(
    folder: Path, device_urls: Sequence[str], cloud_url: str, *, max_records: int = 7, outbox: str = "", sink: str = ""
) -> Path:
    """A gateway configuration that pulls and retries quickly, in small pieces, and gives up nothing because the machine stands still."""
    devices = "".join(f'[[device]]\nurl = "{url}"\ntimeout_s = 60.0\npoll_s = 0.02\nmax_records = {max_records}\n\n' for url in device_urls)
    path = folder / "gateway.toml"
    path.write_text(
        f'version = 1\n\n[gateway]\nid = "test-gateway"\ndata_dir = "gateway data"\n\n{devices}'
        f'[[sink]]\ntype = "http"\nurl = "{cloud_url}"\nbatch_records = 11\ntimeout_s = 60.0\nretry_max_s = 0.2\n{sink}\n'
        f"[outbox]\n{outbox}\n",
        encoding="utf-8",
    )
    return path


async def wait_until(condition: Callable[[], Any], what: str) -> None:
    """Ask again and again until the condition (plain or awaitable) holds; fails with ``what`` when it never does."""
    try:
        async with asyncio.timeout(HANG_S):
            while True:
                value = condition()
                if await value if asyncio.iscoroutine(value) else value:
                    return
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"not within {HANG_S:g} s: {what}") from None
