"""The wheel as a user gets it: in an empty environment, in an empty folder, the checkout nowhere on its path.

These tests install packages, so they need pip's index or its cache.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from tests.support import standins
from tests.support.patience import HANG_S
from tinyfleet_codegen.firmware_tree import firmware_dir

pytestmark = [pytest.mark.timeout(1800), pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
BOARD = "mps2_an386"

EXTRAS = {
    "train": ["tinyfleet.train", "tinyfleet_zoo.gesture.network"],
    "verify": ["tinyfleet.oracle", "tflite_micro"],
    "build": ["tinyfleet.platformio_build", "platformio", "SCons"],
    "cloud": ["tinyfleet.cloud", "fastapi", "uvicorn"],
    "gateway": ["tinyfleet.gateway", "prometheus_client", "datasketches"],
    "mqtt": ["paho.mqtt", "google.protobuf"],
    "kafka": ["confluent_kafka"],
    "opcua": ["asyncua"],
    "parquet": ["pyarrow.parquet"],
    "sim": ["bumble.controller"],
}
"""What must be importable where one extra alone is installed."""


EVERY_HELP = """
import contextlib, io, json, sys
from tinyfleet.cli.app import COMMANDS, main
helps = {}
for command in COMMANDS:
    sys.argv = ["tinyfleet", command, "--help"]
    with contextlib.redirect_stdout(io.StringIO()) as shown:
        assert main() == 0, command
    helps[command] = shown.getvalue()
print(json.dumps(helps))
"""
"""``tinyfleet COMMAND --help`` of all, in one process."""


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel, and an empty folder to work in."""

    python: Path
    folder: Path

    def run(self, *arguments: str, code: int = 0) -> str:
        """Standard output of the environment's Python with these arguments, run in the empty folder."""
        env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
        done = subprocess.run([self.python, *arguments], cwd=self.folder, env=env, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == code, f"{arguments} -> {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout if code == 0 else done.stderr

    def tinyfleet(self, *arguments: str, code: int = 0) -> str:
        """The same for the command line; standard error when it has to fail."""
        return self.run("-m", "tinyfleet", *arguments, code=code)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(folder), str(ROOT)]
    subprocess.run(command, timeout=600, check=True)
    (built,) = folder.glob("*.whl")
    return built


def pip_install(env: Path, requirement: str) -> None:
    """Into an environment; what is imported later is compiled then, the rest never."""
    pip = [sys.executable, "-m", "pip", "--python", str(env / "bin/python"), "install", "-q", "--no-compile"]
    subprocess.run([*pip, "-c", str(ROOT / "constraints.txt"), requirement], timeout=1500, check=True)


@pytest.fixture(scope="module")
def bare(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that holds the wheel and what it needs without any extra."""
    env = tmp_path_factory.mktemp("bare") / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", env], timeout=HANG_S, check=True)
    pip_install(env, f"tinyfleet @ {wheel.as_uri()}")
    return env


@pytest.fixture(scope="module")
def install(wheel: Path, bare: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Installed]:
    """Gives an environment that holds the wheel with one extra."""

    @cache
    def make(extra: str) -> Installed:
        place = tmp_path_factory.mktemp("installed")
        # What all share is installed once; pip replaces files and writes into none, so they may be the same.
        shutil.copytree(bare, place / "env", symlinks=True, copy_function=os.link)
        pip_install(place / "env", f"tinyfleet[{extra}] @ {wheel.as_uri()}")
        (place / "empty").mkdir()
        return Installed(place / "env/bin/python", place / "empty")

    return make


@pytest.fixture(scope="module")
def installed(install: Callable[[str], Installed]) -> Installed:
    return install("build")


def test_wheel_holds_the_tracked_firmware_and_no_build_output(wheel: Path) -> None:
    prefix = "tinyfleet_codegen/_firmware/"
    packed = {name.removeprefix(prefix) for name in zipfile.ZipFile(wheel).namelist() if name.startswith(prefix)}
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "."]
    tracked = subprocess.run(command, cwd=ROOT / "firmware", capture_output=True, text=True, timeout=HANG_S, check=True)
    assert packed == {name for name in tracked.stdout.split("\0") if name}


def test_nothing_comes_from_the_checkout(installed: Installed) -> None:
    where = installed.run(
        "-c", "from tinyfleet_codegen.firmware_tree import firmware_dir; import tinyfleet; print(firmware_dir(), tinyfleet.__file__)"
    )
    assert str(ROOT) not in where
    assert str(firmware_dir()) not in where


def test_every_command_explains_itself_with_the_base_packages(installed: Installed) -> None:
    helps: dict[str, str] = json.loads(installed.run("-c", EVERY_HELP))
    assert {"doctor", "compile", "build", "emulate"} <= set(helps)
    assert "compile" in installed.tinyfleet("--help")
    for command, text in helps.items():
        assert "Example:" in text or "Commands:" in text, f"{command}: {text}"


def test_doctor_names_the_extras_that_are_not_there(installed: Installed) -> None:
    states = {finding["name"]: finding["state"] for finding in json.loads(installed.tinyfleet("doctor", "--json"))["findings"]}
    assert states["packages"] == states["extra build"] == states["firmware"] == "ok"
    assert states["extra train"] == states["extra verify"] == "absent"


def test_compile_build_emulate_in_an_empty_folder(installed: Installed) -> None:
    (installed.folder / "kws.tflite").write_bytes(standins.STANDINS["kws"]())
    compiled = json.loads(installed.tinyfleet("compile", "kws.tflite", "--board", BOARD, "-o", "model", "--json"))
    assert compiled["arena_bytes"] > 0
    built = json.loads(installed.tinyfleet("build", "--board", BOARD, "--model", "model", "-o", "firmware", "--json"))
    assert built["flash_bytes"] > compiled["weights_bytes"]
    command = [installed.python, "-m", "tinyfleet", "emulate", BOARD, "--build-dir", "firmware", "--json"]
    with subprocess.Popen(command, cwd=installed.folder, stdout=subprocess.PIPE, text=True) as emulator:
        try:
            assert emulator.stdout is not None
            url = json.loads(emulator.stdout.readline())["smp"]
            info = json.loads(installed.tinyfleet("device", "info", url, "--json"))
            assert info["board"] == BOARD
            assert info["model"]["name"] == "kws"
        finally:
            emulator.terminate()
            emulator.wait(timeout=HANG_S)


def test_what_needs_an_extra_names_it(installed: Installed) -> None:
    message = installed.tinyfleet("zoo", "train", "gesture", "-o", "out", code=1)
    assert "Traceback" not in message
    assert "tinyfleet[train]" in message


@pytest.mark.parametrize("extra", [pytest.param(name, marks=pytest.mark.full if name == "train" else ()) for name in EXTRAS])
def test_extra_installs_and_imports_alone(install: Callable[[str], Installed], extra: str) -> None:
    installed = install(extra)
    installed.run("-c", f"import {', '.join(EXTRAS[extra])}")


def test_every_extra_is_tested_alone(installed: Installed) -> None:
    declared = installed.run("-c", "import importlib.metadata as m; print(*m.metadata('tinyfleet').get_all('Provides-Extra'))").split()
    assert set(declared) - {"all", "dev"} == set(EXTRAS)
