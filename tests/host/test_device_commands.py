"""The commands that talk to devices, as a user or a program runs them."""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from smp.header import OP
from typer.testing import CliRunner

from tests.host.peer import PythonBoard, tcp_peer
from tests.host.test_device import DEVICE_ID, INPUT_BYTES, OUTPUT_BYTES, FleetBoard
from tinyfleet_codegen.wire.ids import Command

STATS = dict.fromkeys(
    ["inferences", "records", "ring_overwrites", "last_instructions", "max_instructions", "stack_bytes", "stack_used", "bad_frames"], 5
) | {"fault_pc": 0x1234, "fault_lr": 0, "fault_cfsr": 0, "resets": 1}


class StatsBoard(FleetBoard):
    """With counters."""

    def __init__(self) -> None:
        super().__init__()
        self.on(OP.READ, Command.STATS, lambda _: dict(STATS))


async def tinyfleet(*words: str) -> tuple[int, str, str]:
    """Run the command line; exit code, stdout, stderr."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tinyfleet", *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def facts_of(board: PythonBoard, *words: str) -> Any:
    async with tcp_peer(board) as (url, _):
        code, out, err = await tinyfleet("device", words[0], url, *words[1:], "--json")
    assert (code, err) == (0, ""), err
    return json.loads(out)


async def test_info_tells_who_it_is_and_what_it_runs() -> None:
    facts = await facts_of(StatsBoard(), "info")
    assert (facts["device_id"], facts["boot_id"], facts["board"], facts["buf_size"]) == (DEVICE_ID.hex(), 7, "python", 2048)
    assert (facts["model"]["name"], facts["model"]["input_dtype"], facts["model"]["input_bytes"]) == ("m", "int8", INPUT_BYTES)
    async with tcp_peer(StatsBoard()) as (url, _):
        code, out, _ = await tinyfleet("device", "info", url)
    assert code == 0 and f"device    {DEVICE_ID.hex()}, boot 7" in out and "windows of 10 samples every 5" in out


async def test_stats_are_all_there() -> None:
    facts = await facts_of(StatsBoard(), "stats")
    assert {key: facts[key] for key in STATS} == STATS


async def test_results_pulls_until_it_has_enough() -> None:
    facts = await facts_of(StatsBoard(), "results", "--max", "70")
    assert [row["seq"] for row in facts["records"]] == list(range(5, 75))
    assert (facts["lost"], facts["next"], facts["device_id"]) == (5, 75, DEVICE_ID.hex())


async def test_infer_reads_npy_and_raw_files_and_checks_the_size(tmp_path: Path) -> None:
    tensor = np.random.default_rng(3).integers(-128, 128, INPUT_BYTES).astype(np.int8)
    np.save(tmp_path / "x.npy", tensor)
    (tmp_path / "x.bin").write_bytes(tensor.tobytes())
    (tmp_path / "short.bin").write_bytes(b"123")
    for name in ("x.npy", "x.bin"):
        facts = await facts_of(StatsBoard(), "infer", "-i", str(tmp_path / name), "-o", str(tmp_path / "y.bin"))
        assert (tmp_path / "y.bin").read_bytes() == tensor.tobytes()[::-1][:OUTPUT_BYTES] == bytes.fromhex(facts["output"])
        assert facts["instructions"] == 5
    async with tcp_peer(StatsBoard()) as (url, _):
        code, out, err = await tinyfleet("device", "infer", url, "-i", str(tmp_path / "short.bin"))
    assert (code, out) == (2, "") and "holds 3 bytes, the model takes 5000" in err


async def test_failures_are_one_line_a_hint_and_the_right_exit_code() -> None:
    board = FleetBoard()
    board.on(OP.READ, Command.STATS, lambda _: {"err": {"group": 64, "rc": 6}})
    async with tcp_peer(board) as (url, _):
        code, out, err = await tinyfleet("device", "stats", url)
    assert (code, out) == (1, "")
    hint = "the board has no device identity; emulated boards get one from tinyfleet emulate"
    assert err == f"error: {url} refused Stats: TYF_ERR_NO_IDENTITY\n  hint: {hint}\n"
    code, out, err = await tinyfleet("device", "info", "mps2_an386")
    assert (code, out) == (2, "") and len(err.splitlines()) == 2


async def test_board_that_speaks_nonsense_is_one_line_too() -> None:
    board = FleetBoard()
    board.on(OP.READ, Command.HELLO, lambda _: {"proto_min": "one"})
    async with tcp_peer(board) as (url, _):
        code, _, err = await tinyfleet("device", "info", url)
    assert code == 1 and len(err.splitlines()) == 1 and "makes no sense" in err


async def test_monitor_shows_text_and_hides_messages() -> None:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"boot: ready\n\x06\x09AAAA\nlog: caf\xe9\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        code, out, err = await tinyfleet("monitor", f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    assert out == "boot: ready\nlog: caf\\xe9\n"
    assert code == 1 and "closed the connection" in err


async def test_scan_prints_a_list() -> None:
    code, out, _ = await tinyfleet("device", "scan", "--json")
    assert code == 0 and isinstance(json.loads(out), list)


COMMANDS = [("build",), ("flash",), ("monitor",), ("emulate",), ("device",)]
DEVICE_COMMANDS = [("device", word) for word in ("info", "results", "stats", "infer", "reset", "scan")]


@pytest.mark.parametrize("words", COMMANDS + DEVICE_COMMANDS)
def test_help_holds_an_example(words: tuple[str, ...]) -> None:
    app = typer.Typer()
    importlib.import_module(f"tinyfleet.cli.{words[0]}").register(app)
    app.callback()(lambda: None)  # So that a single command keeps its name.
    result = CliRunner().invoke(app, [*words, "--help"])
    assert result.exit_code == 0 and f"Example: tinyfleet {words[0]}" in result.output
