"""A board behind a gateway: others use its port meanwhile through a socket, in its session; updates starve no pull."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from random import Random

import numpy as np
import pytest

from hil_tests.conftest import BOARD, CHANNELS, HOP_SAMPLES, WINDOW_SAMPLES, StartBoard
from tests.gateway.processes import running_cloud, running_gateway, wait_until, write_config
from tests.support.model_swap import swap_model_dir
from tinyfleet.cloud.audit import BoardCount, audit, read_cloud
from tinyfleet.device import Device, open_device
from tinyfleet.device_keys import ENVIRONMENT as KEYS
from tinyfleet.device_keys import new_key
from tinyfleet.emulator import EmulatedBoard
from tinyfleet.gateway.config import DeviceSettings
from tinyfleet.gateway.outbox import Outbox
from tinyfleet.gateway.proxy import open_port
from tinyfleet.gateway.puller import Puller
from tinyfleet.gateway.status import DeviceStatus
from tinyfleet.gateway.store_thread import StoreThread
from tinyfleet.link.shared import ENVIRONMENT as PORTS
from tinyfleet.link.shared import socket_path
from tinyfleet.platformio_build import build_firmware
from tinyfleet.smp import upload
from tinyfleet.smp.upload import UploadReport

WINDOWS = 40


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, short_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys and sockets of this test alone."""
    monkeypatch.setenv(KEYS, str(tmp_path / "keys"))
    monkeypatch.setenv(PORTS, str(short_folder / "ports"))


async def replay(device: Device, stream: int) -> BoardCount:
    count = (WINDOW_SAMPLES + (WINDOWS - 1) * HOP_SAMPLES) * CHANNELS
    samples = np.random.default_rng(stream).integers(-2000, 2000, count).astype(np.int16).reshape(-1, CHANNELS)
    await device.replay(stream, samples)
    hello, stats = await device.hello(), await device.stats()
    return BoardCount(hello.device_id, hello.boot_id, stats.records)


async def device_info(url: str) -> dict[str, object]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "tinyfleet", "device", "info", url, "--json"), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await asyncio.wait_for(process.communicate(), 3 * TIMEOUT_S)
    assert process.returncode == 0
    facts = json.loads(out)
    assert isinstance(facts, dict)
    return facts


async def test_locked_board_behind_a_gateway_is_used_by_others_and_restarts_meanwhile(start_board: StartBoard, tmp_path: Path) -> None:
    board = await asyncio.to_thread(start_board)
    async with open_device(board.url, timeout_s=TIMEOUT_S) as device:
        with new_key(board.device_id) as key:
            await device.provision(key, lock=True)
    async with running_cloud(tmp_path / "cloud") as cloud, running_gateway(write_config(tmp_path, [board.url], cloud.url)):
        await wait_until(lambda: socket_path(board.url).exists(), "the gateway's socket")
        assert board.device_id.hex() in json.dumps(await device_info(board.url))
        async with open_device(board.url, timeout_s=TIMEOUT_S) as device:
            # Nothing of it is open on this board: what goes through the gateway goes in its session.
            status = await device.session_status()
            assert (status.locked, status.session, device.is_in_session) == (True, True, False)
            produced = [await replay(device, 1)]
            await wait_until(partial(cloud.has, stored=WINDOWS), "the first records in the cloud")
            assert (await device.restart()).boot_id == 2
            produced.append(await replay(device, 2))
            await wait_until(partial(cloud.has, stored=2 * WINDOWS), "all records in the cloud")
        verdict = audit(await asyncio.to_thread(read_cloud, cloud.url), produced)
    assert verdict.is_exact and verdict.produced == 2 * WINDOWS, verdict


BAUD = 115_200
RING_BYTES = 2048
RING_RECORDS = 50
"""More than it holds."""
ATTEMPTS = 4
TIMEOUT_S = 40.0
PERIOD_MS = 100
FILE_BYTES = 48 * 1024


@asynccontextmanager
async def slow_line(url: str) -> AsyncIterator[str]:
    """The board's UART at ``BAUD``, ten bits a byte, both ways; QEMU's has no rate."""
    loop = asyncio.get_running_loop()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        free_s = loop.time()
        with suppress(OSError):
            while data := await reader.read(64):
                free_s = max(free_s, loop.time()) + len(data) * 10 / BAUD
                await asyncio.sleep(free_s - loop.time())  # The time that the bytes take.
                writer.write(data)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, _, port = url.removeprefix("tcp://").partition(":")
        board_reader, board_writer = await asyncio.open_connection(host, int(port))
        await asyncio.gather(carry(reader, board_writer), carry(board_reader, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        server.close()


@pytest.fixture(scope="module")
def small_ring(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Firmware that takes models and keeps the records of some four seconds."""
    folder = tmp_path_factory.mktemp("ring")
    model = swap_model_dir(folder / "model", BOARD)
    with (model / "model_config.h").open("a") as config:
        config.write(f"#define TYF_CFG_TELEMETRY_BYTES {RING_BYTES}\n")
    return build_firmware(BOARD, model, folder / "firmware").elf


@pytest.fixture
def small_ring_board(small_ring: Path, tmp_path: Path) -> Iterator[EmulatedBoard]:
    with EmulatedBoard.start(BOARD, small_ring, tmp_path / "ring.nvm") as board:
        yield board


async def pulled_during_an_upload(
    board: EmulatedBoard, folder: Path, *, through_socket: bool, seed: int = 5, file_bytes: int = FILE_BYTES
) -> tuple[DeviceStatus, UploadReport, int]:
    """A puller on a slow line, ten records a second, and a model that is sent; the puller's status, the upload, records that were made."""
    store = StoreThread(Outbox(folder / "outbox.db", gateway_id="gw"))
    opened: asyncio.Queue[Device] = asyncio.Queue()

    @asynccontextmanager
    async def opener(url: str, *, timeout_s: float = 5.0) -> AsyncIterator[Device]:
        async with open_port(url, timeout_s=timeout_s) as device:
            opened.put_nowait(device)
            yield device

    async with slow_line(board.url) as url:
        status = DeviceStatus(url)
        settings = DeviceSettings(url=url, poll_s=0.1)
        puller = Puller(settings, opener=opener, store=store, on_commit=lambda: None, claims={}, status=status)
        pulling = asyncio.create_task(puller.run())
        try:
            own = await asyncio.wait_for(opened.get(), TIMEOUT_S)
            await wait_until(lambda: socket_path(url).exists(), "the gateway's socket")
            before = (await own.stats()).records
            await own.sample(PERIOD_MS, seed=1)
            if through_socket:
                async with open_device(url, timeout_s=TIMEOUT_S) as device:
                    report = await device.models.push(Random(seed).randbytes(file_bytes))
            else:
                report = await own.models.push(Random(seed).randbytes(file_bytes))
            await own.sample(0)
            made = (await own.stats()).records - before
            await wait_until(lambda: status.pulled + status.lost >= made, "all records pulled")
        finally:
            pulling.cancel()
            await asyncio.gather(pulling, return_exceptions=True)
            await asyncio.to_thread(store.close)
    print(f"{report.seconds:.1f} s, {report.kib_per_s:.1f} KiB/s, {made} records, {status.lost} of them lost, ring of {RING_BYTES} bytes")
    return status, report, made


@pytest.mark.parametrize("through_socket", [True, False], ids=["socket", "gateway"])
async def test_update_over_a_slow_line_overflows_no_ring(small_ring_board: EmulatedBoard, tmp_path: Path, through_socket: bool) -> None:
    # A machine that stands still for as long as the ring holds overflows it whatever the upload does, but not each time.
    for attempt in range(ATTEMPTS):
        status, _, made = await pulled_during_an_upload(small_ring_board, tmp_path, through_socket=through_socket, seed=attempt)
        assert status.pulled + status.lost == made
        if status.lost == 0 and made >= RING_RECORDS:
            break
    assert status.lost == 0 and made >= RING_RECORDS


async def test_update_that_keeps_the_line_loses_records(
    small_ring_board: EmulatedBoard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test above can fail: without an end of its bursts an upload is one turn, but for what it measures first."""
    monkeypatch.setattr(upload, "BURST_S", 1e9)
    status, _, made = await pulled_during_an_upload(small_ring_board, tmp_path, through_socket=False, file_bytes=2 * FILE_BYTES)
    assert status.lost > 0 and status.pulled + status.lost == made
