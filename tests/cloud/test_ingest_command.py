"""``cloud serve`` with certificates and ``cloud ingest``, as commands."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.gateway.processes import Service
from tests.gateway.sinks.batches import Source, context, entries
from tests.gateway.sinks.peers import GATEWAY, Fleet
from tests.support.patience import HANG_S
from tinyfleet.cli.app import main
from tinyfleet.gateway.sinks.file import FileSinkSettings
from tinyfleet.gateway.sinks.http import HttpSinkSettings
from tinyfleet.gateway.sinks.sink import Delivered
from tinyfleet_codegen.errors import SinkError


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tinyfleet", "cloud", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=HANG_S, check=False)


async def test_cloud_that_asks_for_certificates_lets_gateways_in_and_others_not(tmp_path: Path) -> None:
    fleet = Fleet.make(tmp_path)
    files = ["--cert", str(fleet.server.certificate), "--key", str(fleet.server.key), "--client-ca", str(fleet.ca)]
    cloud = await Service.start("cloud", "serve", "--data", str(tmp_path / "cloud"), "--port", "0", *files)
    url = str(cloud.facts["url"])
    assert url.startswith("https://127.0.0.1:")
    table = {"type": "http", "url": url, "ca_file": str(fleet.ca)}
    who = {"cert_file": str(fleet.gateway.certificate), "key_file": str(fleet.gateway.key)}
    batch = Source(GATEWAY).batch(3)
    sink = HttpSinkSettings.model_validate(table | who).open(context(tmp_path, GATEWAY))
    assert await sink.deliver(batch) == Delivered(entries(batch))
    await sink.close()
    nobody = HttpSinkSettings.model_validate(table).open(context(tmp_path, GATEWAY))
    with pytest.raises(SinkError, match="cannot deliver"):
        await nobody.deliver(batch)
    await nobody.close()
    assert await cloud.stop() == 0


async def test_files_are_imported_by_a_command_that_ends(tmp_path: Path) -> None:
    sink = FileSinkSettings.model_validate({"type": "file", "folder": "out", "max_file_bytes": 4096}).open(context(tmp_path, GATEWAY))
    source = Source(GATEWAY)
    for _ in range(2):
        await sink.deliver(source.batch(20))
    await sink.close()
    cloud = await Service.start("cloud", "serve", "--data", str(tmp_path / "cloud"), "--port", "0")
    url = str(cloud.facts["url"])
    imported = run("ingest", "--from", str(tmp_path / "out"), "--to", url, "--json")
    assert imported.returncode == 0, imported.stderr
    facts = json.loads(imported.stdout)
    assert (facts["files"], facts["unfinished"], facts["stored"], facts["refused"]) == (1, 1, 20, 0)
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=HANG_S) as client:
        assert (await client.get("/v1/summary")).json()["stored"] == 20
    assert await cloud.stop() == 0


@pytest.mark.timeout(HANG_S)
def test_brokers_that_are_not_there_are_named_while_it_tries(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    command = [sys.executable, "-m", "tinyfleet", "cloud", "ingest", "--from", f"kafka://127.0.0.1:{port}"]
    with (tmp_path / "out").open("wb") as out, subprocess.Popen(command, stdout=out, stderr=subprocess.PIPE, text=True) as ingest:
        assert ingest.stderr is not None
        said = ingest.stderr.readline()
        ingest.terminate()
    assert f"ingest interrupted broker=kafka://127.0.0.1:{port} error=" in said, said


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["ingest", "--from", "gopher://x"], 2, "cannot ingest from gopher://x"),
        (["ingest", "--from", "mqtt://x", "--cert", "a.pem"], 2, "--cert and --key belong together"),
        (["ingest", "--from", "kafka://x"], 1, "kafka://HOST:PORT"),
        (["ingest", "--from", "opc.tcp://x:1"], 1, "give --ca, --cert and --key"),
        (["serve", "--data", "d", "--client-ca", "a.pem"], 2, "--cert and --key belong together"),
    ],
)
def test_wrong_use_is_one_line_and_a_next_step(
    arguments: list[str], code: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["tinyfleet", "cloud", *arguments])
    assert main() == code
    out, err = capsys.readouterr()
    assert out == "" and said in err and err.startswith("error: ")
