"""Sealed outboxes: nothing readable on the disk, and nothing opened with another key."""

from __future__ import annotations

import contextlib
import select
import shutil
import socket
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tinyfleet.demo.reserved_port import ReservedPort
from tinyfleet.gateway.outbox import Outbox, PulledRecord
from tinyfleet.gateway.seal import TPM_FILES, key_from_file, key_from_tpm
from tinyfleet_codegen.errors import StoreError

DEVICE = b"D" * 16
SECRET = b"what the patient did last night"
Key = Callable[[bool], bytes]


def opened(folder: Path, key: Key | None) -> Outbox:
    return Outbox(folder / "outbox.db", gateway_id="gw", key=key)


def append(outbox: Outbox, count: int = 5) -> None:
    since = outbox.cursor(DEVICE, 1)
    records = [PulledRecord(seq, SECRET + bytes([seq]), seq, 1, None) for seq in range(since, since + count)]
    outbox.append(DEVICE, 1, records, since=since, next_seq=since + count, lost=0)


def contents(outbox: Outbox) -> list[bytes]:
    return [e.record for e in outbox.batch("http", 5000, 2**20).records]


def on_disk(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.glob("outbox.db*"))


def rows(folder: Path) -> list[Any]:
    reader = sqlite3.connect(folder / "outbox.db")
    found = reader.execute("SELECT * FROM queue").fetchall()
    reader.close()
    assert found
    return found


def file_key(folder: Path, name: str = "key") -> Key:
    return lambda must_exist: key_from_file(folder / name, must_exist=must_exist)


def test_payloads_are_sealed_and_come_back(tmp_path: Path) -> None:
    outbox = opened(tmp_path, file_key(tmp_path))
    append(outbox)
    outbox.close()
    assert SECRET not in on_disk(tmp_path)
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    outbox = opened(tmp_path, file_key(tmp_path))
    assert contents(outbox) == [SECRET + bytes([seq]) for seq in range(5)]
    assert [e.record for e in outbox.history(DEVICE, 1, 3, 10)] == [SECRET + bytes([seq]) for seq in (1, 2, 3)]
    outbox.close()


def test_what_was_there_before_the_key_is_sealed_too(tmp_path: Path) -> None:
    outbox = opened(tmp_path, None)
    append(outbox)
    outbox.close()
    assert SECRET in on_disk(tmp_path)
    outbox = opened(tmp_path, file_key(tmp_path))
    append(outbox)
    assert len(contents(outbox)) == 10
    assert outbox._db.execute("SELECT count(*) FROM queue WHERE NOT sealed").fetchone() == (0,)
    outbox.close()


def test_wrong_absent_and_open_keys_are_refused_and_the_store_is_kept(tmp_path: Path) -> None:
    outbox = opened(tmp_path, file_key(tmp_path))
    append(outbox)
    outbox.close()
    before = rows(tmp_path)
    (tmp_path / "other").write_bytes(b"o" * 32)
    (tmp_path / "other").chmod(0o600)
    (tmp_path / "open").write_bytes(b"o" * 32)
    (tmp_path / "open").chmod(0o644)
    (tmp_path / "short").write_bytes(b"o" * 31)
    (tmp_path / "short").chmod(0o600)
    for key, says in (
        (file_key(tmp_path, "other"), "sealed by another key"),
        (file_key(tmp_path, "absent"), "No such file"),
        (file_key(tmp_path, "open"), "may be read by others"),
        (file_key(tmp_path, "short"), "holds 31 bytes"),
        (None, "no key is configured"),
    ):
        with pytest.raises(StoreError, match=says) as refused:
            opened(tmp_path, key)
        assert refused.value.hint
    assert not (tmp_path / "absent").exists()
    assert rows(tmp_path) == before
    outbox = opened(tmp_path, file_key(tmp_path))
    assert len(contents(outbox)) == 5
    outbox.acknowledge("http", [e.entry for e in outbox.batch("http", 5000, 2**20).envelopes])
    outbox.close()
    opened(tmp_path, None).close()


def test_payload_that_was_moved_or_changed_is_not_delivered(tmp_path: Path) -> None:
    outbox = opened(tmp_path, file_key(tmp_path))
    append(outbox)
    outbox.close()
    database = sqlite3.connect(tmp_path / "outbox.db")
    (moved,) = database.execute("SELECT payload FROM queue WHERE entry = 1").fetchone()
    database.execute("UPDATE queue SET payload = ? WHERE entry = 2", (moved,))
    database.execute("UPDATE queue SET seq = 9 WHERE entry = 3")
    database.commit()
    database.close()
    outbox = opened(tmp_path, file_key(tmp_path))
    assert contents(outbox) == [SECRET + bytes([seq]) for seq in (0, 3, 4)]
    assert outbox.depth().refused == 2
    outbox.close()


@contextmanager
def software_tpm(folder: Path) -> Iterator[str]:
    """A TPM 2.0 of its own, as tpm2-tools reach it."""
    folder.mkdir(exist_ok=True)
    with two_ports() as (port, control):
        command = ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={folder}", "--flags", "not-need-init,startup-clear"]
        tpm = subprocess.Popen([*command, "--server", f"type=tcp,port={port}", "--ctrl", f"type=tcp,port={control}"])
        try:
            while True:
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", control)) == 0:
                        break
                assert tpm.poll() is None, "swtpm ended"
                select.select([], [], [], 0.01)  # it does not say when it listens
            yield f"swtpm:host=127.0.0.1,port={port}"
        finally:
            tpm.kill()
            tpm.wait()


@contextmanager
def two_ports() -> Iterator[tuple[int, int]]:
    """A port, and the one behind it: where tpm2-tools look for the control channel."""
    while True:
        with ReservedPort() as port, contextlib.ExitStack() as second:
            try:
                behind = second.enter_context(ReservedPort(port.number + 1))
            except OSError:
                continue  # it is somebody's
            yield port.number, behind.number
            return


def test_key_in_a_tpm_opens_with_that_tpm_alone(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()

    def key(tcti: str) -> Key:
        return lambda must_exist: key_from_tpm(data, tcti=tcti, must_exist=must_exist)

    with software_tpm(tmp_path / "tpm") as tcti:
        outbox = opened(data, key(tcti))
        append(outbox)
        outbox.close()
    assert SECRET not in on_disk(data)
    before = rows(data)
    with pytest.raises(StoreError, match="TPM: tpm2_createprimary failed") as refused:
        opened(data, key(tcti))
    assert refused.value.hint is not None and "nothing in it was changed" in refused.value.hint
    with software_tpm(tmp_path / "another tpm") as other:
        with pytest.raises(StoreError, match="TPM: tpm2_load failed"):
            opened(data, key(other))
        kept = [(data / name).rename(tmp_path / name) for name in TPM_FILES]
        with pytest.raises(StoreError, match="is absent, and the outbox is sealed"):
            opened(data, key(other))
        for path in kept:
            shutil.move(path, data / path.name)
    assert rows(data) == before
    with software_tpm(tmp_path / "tpm") as tcti:
        outbox = opened(data, key(tcti))
        assert len(contents(outbox)) == 5
        outbox.close()
