"""Files that appear whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from tinyfleet.new_file import new_file


def test_it_appears_at_the_end_whole_and_private(tmp_path: Path) -> None:
    path = tmp_path / "key"
    with new_file(path) as file:
        file.write(b"secret")
        file.flush()
        assert not path.exists()
        (draft,) = tmp_path.iterdir()
        assert draft.stat().st_mode & 0o777 == 0o600
    assert path.read_bytes() == b"secret" and path.stat().st_mode & 0o777 == 0o600
    assert [*tmp_path.iterdir()] == [path]


def test_a_body_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), new_file(tmp_path / "key") as file:
        file.write(b"secret" * (1 // 0))
    assert [*tmp_path.iterdir()] == []


def test_what_is_there_stays(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"precious")
    with pytest.raises(FileExistsError), new_file(path) as file:
        file.write(b"secret")
    assert path.read_bytes() == b"precious" and [*tmp_path.iterdir()] == [path]
