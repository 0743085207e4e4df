from __future__ import annotations

import json
import os
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

import httpx

from tests.cloud.batches import DEVICE, batch, message
from tests.gateway.fake_board import FakeBoard
from tests.gateway.processes import running_cloud
from tests.support.patience import HANG_S
from tinyfleet.cloud.store import CLOUD_FILE, CloudStore


def serve(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A start that must fail."""
    environment = {k: v for k, v in os.environ.items() if k != "TINYFLEET_CLOUD_TOKEN"}
    command = [sys.executable, "-m", "tinyfleet", "cloud", "serve", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=HANG_S, check=False, env=environment)


def assert_one_error(run: subprocess.CompletedProcess[str], *parts: str) -> None:
    assert run.returncode == 1
    assert run.stdout == ""
    assert "Traceback" not in run.stderr
    assert run.stderr.startswith("error: ") and "hint: " in run.stderr
    for part in parts:
        assert part in run.stderr


def test_port_in_use_is_a_clear_error(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert_one_error(serve("--data", str(tmp_path), "--port", port), f"127.0.0.1 port {port}", "in use", "--port 0")


def test_data_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    assert_one_error(serve("--data", str(tmp_path / "file" / "data"), "--port", "0"), "cannot write in the data folder")


def test_newer_database_is_refused_and_not_touched(tmp_path: Path) -> None:
    CloudStore(tmp_path / CLOUD_FILE).close()
    connection = sqlite3.connect(tmp_path / CLOUD_FILE)
    connection.execute("PRAGMA user_version = 7")
    connection.close()
    before = (tmp_path / CLOUD_FILE).read_bytes()
    assert_one_error(serve("--data", str(tmp_path), "--port", "0"), "has version 7", "knows up to 2", "update tinyfleet")
    assert (tmp_path / CLOUD_FILE).read_bytes() == before


def test_damaged_database_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / CLOUD_FILE).write_bytes(b"garbage" * 2000)
    assert_one_error(serve("--data", str(tmp_path), "--port", "0"), "not a database", "move the file")
    assert (tmp_path / CLOUD_FILE).read_bytes() == b"garbage" * 2000


def test_wrong_token_file_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("two words", encoding="utf-8")
    assert_one_error(serve("--data", str(tmp_path), "--token-file", str(tmp_path / "token")), "holds no access token")
    assert_one_error(serve("--data", str(tmp_path), "--token-file", str(tmp_path / "absent")), "cannot read the token file")


async def test_second_process_on_one_folder_is_refused(tmp_path: Path) -> None:
    async with running_cloud(tmp_path / "cloud"):
        assert_one_error(serve("--data", str(tmp_path / "cloud"), "--port", "0"), "another cloud uses the data folder")


async def test_rows_survive_sigkill_and_sigterm_ends_with_zero(tmp_path: Path) -> None:
    async with running_cloud(tmp_path / "cloud") as cloud:
        async with httpx.AsyncClient(base_url=cloud.url, trust_env=False, timeout=HANG_S) as client:
            assert (await client.post("/v1/records", json=batch(*(message(s) for s in range(20))))).json()["stored"] == 20
        await cloud.kill()
        await cloud.start()
        assert (await cloud.summary())["stored"] == 20
        assert cloud.service is not None
        assert await cloud.service.stop() == 0


async def test_slow_and_broken_clients_do_not_stop_the_others(tmp_path: Path) -> None:
    async with running_cloud(tmp_path / "cloud") as cloud:
        with socket.create_connection(("127.0.0.1", cloud.port)) as slow, socket.create_connection(("127.0.0.1", cloud.port)) as broken:
            slow.sendall(b"POST /v1/records HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{")
            broken.sendall(os.urandom(300) + b"\r\n\r\n")
            assert (await cloud.summary())["stored"] == 0


WITH_SMALL_FILES = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
from tinyfleet.cli.app import main
sys.exit(main())
"""


def test_full_disk_answers_507_and_stores_nothing_of_the_batch(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WITH_SMALL_FILES, "cloud", "serve", "--data", str(tmp_path), "--port", "0", "--json"]
    board = FakeBoard(DEVICE)
    board.produce(10_000)
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            url = json.loads(process.stdout.readline())["url"]
            stored = 0
            with httpx.Client(base_url=url, trust_env=False, timeout=HANG_S) as client:
                for first in range(0, board.produced, 100):
                    records = [message(s, data=board.history[1, s]) for s in range(first, first + 100)]
                    answer = client.post("/v1/records", json=batch(*records))
                    if answer.status_code != 200:
                        break
                    stored += answer.json()["stored"]
                assert (answer.status_code, "Retry-After" in answer.headers) == (507, True)
                assert client.get("/v1/summary").json()["stored"] == stored > 0
        finally:
            process.kill()
    store = CloudStore(tmp_path / CLOUD_FILE)
    assert store.totals()["stored"] == stored
    store.close()
