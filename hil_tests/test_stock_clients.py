"""Clients that know nothing of tinyfleet talk to a board, unmodified."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from smpclient import SMPClient
from smpclient.generics import success
from smpclient.requests.os_management import EchoWrite, MCUMgrParametersRead, ResetWrite
from smpclient.transport.serial import SMPSerialTransport

from hil_tests.conftest import StartBoard
from tinyfleet.device import connect

SMPMGR = Path(__file__).parents[1] / ".tinyfleet" / "venvs" / "smpmgr" / "bin" / "smpmgr"


@pytest.fixture(scope="session")
def smpmgr() -> Path:
    """The tool in its own environment: its pins clash with ours."""
    assert SMPMGR.is_file(), f"smpmgr is not installed at {SMPMGR}: ./run sets it up (version 0.19.1, an environment of its own)"
    return SMPMGR


def run_smpmgr(smpmgr: Path, port: str | None, *words: str) -> str:
    """Run it; what it printed and logged."""
    assert port is not None
    # Its output is drawn by rich: a wide terminal keeps values on one line.
    env = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}
    run = subprocess.run([smpmgr, "--port", port, *words], capture_output=True, text=True, timeout=60, check=False, env=env)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout + run.stderr


@pytest.mark.timeout(60)
async def test_smpclient_echoes_reads_params_and_resets(start_board: StartBoard) -> None:
    board = start_board(pty=True)
    assert board.pty is not None
    async with SMPClient(SMPSerialTransport(), board.pty) as client:
        for text in ("", "hello", "x" * 300):
            reply = await client.request(EchoWrite(d=text))
            assert success(reply) and reply.r == text
        params = await client.request(MCUMgrParametersRead())
        assert success(params) and params.buf_size >= 512 and params.buf_count >= 1
        assert success(await client.request(ResetWrite()))
    with connect(board.url) as device:
        assert device.hello().boot_id == 2
        assert device.stats().resets == 1


@pytest.mark.timeout(90)
def test_smpmgr_reads_params_echoes_and_resets(start_board: StartBoard, smpmgr: Path) -> None:
    board = start_board(pty=True)
    # It asks for the parameters whenever it connects, and shows them only in its log.
    said = run_smpmgr(smpmgr, board.pty, "--loglevel", "DEBUG", "os", "echo", "hello tinyfleet")
    assert "r='hello tinyfleet'" in said and "buf_size=4096" in said
    run_smpmgr(smpmgr, board.pty, "os", "reset")
    with connect(board.url) as device:
        assert device.hello().boot_id == 2
