"""NVM files of emulated boards: an identity each, never lost, never shared."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tinyfleet.emulator import create_nvm
from tinyfleet.emulator.nvm import lock_nvm
from tinyfleet.link import memory
from tinyfleet_codegen.errors import StoreError, UsageError
from tinyfleet_codegen.wire.nvm import read_boot_id, read_identity

BOARD = "mps2_an386"
DEVICE_ID = bytes(range(1, 17))


def test_new_file_is_sparse_and_holds_a_random_identity(tmp_path: Path) -> None:
    first, second = (create_nvm(tmp_path / name, BOARD) for name in ("a.nvm", "b.nvm"))
    assert first != second and len(first) == 16
    stat = (tmp_path / "a.nvm").stat()
    assert stat.st_size == 16 * 2**20 and stat.st_blocks * 512 < 64 * 1024
    identities = [read_identity((tmp_path / name).read_bytes()[:4096]) for name in ("a.nvm", "b.nvm")]
    assert identities[0] is not None and identities[1] is not None
    assert identities[0].device_id == first and identities[0].entropy != identities[1].entropy
    assert read_boot_id((tmp_path / "a.nvm").read_bytes()) == 0


def test_existing_file_keeps_its_identity_and_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.nvm"
    created = create_nvm(path, BOARD, DEVICE_ID)
    before = path.read_bytes()
    assert created == DEVICE_ID == create_nvm(path, BOARD) == create_nvm(path, BOARD, DEVICE_ID)
    assert path.read_bytes() == before


def test_existing_file_of_another_device_is_refused(tmp_path: Path) -> None:
    create_nvm(tmp_path / "a.nvm", BOARD)
    with pytest.raises(UsageError, match="belongs to device"):
        create_nvm(tmp_path / "a.nvm", BOARD, DEVICE_ID)


@pytest.mark.parametrize("content", [b"", b"precious", bytes(16 * 2**20)], ids=["empty", "another file", "no identity"])
def test_file_that_is_no_nvm_is_refused_and_stays(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.nvm"
    path.write_bytes(content)
    with pytest.raises(StoreError):
        create_nvm(path, BOARD)
    assert path.read_bytes() == content


@pytest.mark.parametrize("device_id", [b"", bytes(15), bytes(16), bytes(17)])
def test_impossible_device_id_is_refused(tmp_path: Path, device_id: bytes) -> None:
    with pytest.raises(UsageError, match="16 bytes"):
        create_nvm(tmp_path / "a.nvm", BOARD, device_id)
    assert not (tmp_path / "a.nvm").exists()


def test_missing_folder_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="No such file"):
        create_nvm(tmp_path / "no" / "a.nvm", BOARD)


def test_many_creators_agree_on_one_identity(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: create_nvm(tmp_path / "a.nvm", BOARD), range(32)))
    assert len(found) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.nvm"]


def test_lock_is_held_until_the_last_descriptor_closes(tmp_path: Path) -> None:
    path = tmp_path / "a.nvm"
    create_nvm(path, BOARD)
    held = lock_nvm(path)
    inherited = os.dup(held)
    os.close(held)
    with pytest.raises(StoreError, match="in use"):
        lock_nvm(path)
    os.close(inherited)
    os.close(lock_nvm(path))


def test_file_of_a_board_in_memory_from_before_there_were_areas_gets_the_room_and_keeps_its_bytes(tmp_path: Path) -> None:
    old = tmp_path / "old.nvm"
    content = os.urandom(16384)
    old.write_bytes(content)
    with memory.open_nvm(old) as grown:
        assert len(grown) == memory.NVM_BYTES and grown[:] == content + bytes(memory.NVM_BYTES - len(content))
    old.write_bytes(content[:-1])
    with pytest.raises(UsageError, match="not an NVM file of a board in memory: 16383 bytes"):
        memory.open_nvm(old)
    assert old.read_bytes() == content[:-1]
