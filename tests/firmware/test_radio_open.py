"""``TYF_CFG_RADIO_OPEN`` lets strangers in, so only programs that trust development keys compile with it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.batch import STRICT
from tinyfleet.signing_keys import KEYS_VARIABLE, SigningKeys, development_keys, keys_header, new_keys
from tinyfleet.toolchain import find_host_cc
from tinyfleet_codegen.firmware_tree import firmware_dir


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, SigningKeys]:
    monkeypatch.setenv(KEYS_VARIABLE, str(tmp_path / "development"))
    return {"development": development_keys(), "release": new_keys(tmp_path / "release", is_release=True)}


def compile_radio(folder: Path, *options: str) -> str:
    """What the compiler says; empty: it takes it."""
    firmware = firmware_dir()
    includes = [*sorted((firmware / "lib").glob("*/include")), firmware / "boards/host/include", folder]
    command = [*find_host_cc(), *STRICT, *options, *(f"-I{path}" for path in includes), "-fsyntax-only"]
    command.append(str(firmware / "lib/sensor/src/radio.c"))
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False).stderr


@pytest.mark.parametrize("which", ["development", "release"])
def test_an_open_radio_is_for_development(keys: dict[str, SigningKeys], which: str, tmp_path: Path) -> None:
    folder = tmp_path / which / "headers"
    folder.mkdir(parents=True)
    (folder / "tyf_keys.h").write_text(keys_header(keys[which]), encoding="utf-8")
    assert compile_radio(folder) == ""
    said = compile_radio(folder, "-DTYF_CFG_RADIO_OPEN=1")
    assert (said == "") == (which == "development"), said
    assert which == "development" or "TYF_CFG_RADIO_OPEN is for development" in said


def test_a_board_that_keeps_no_keys_has_no_radio(tmp_path: Path) -> None:
    said = compile_radio(tmp_path, "-UTYF_BOARD_AREA_SETTINGS_0_BYTES", "-DTYF_HOST_BOARD_FACTS_H", "-DTYF_CFG_BLE=1")
    assert "set TYF_CFG_BLE to 0" in said
