"""The gateway as a service: unit, script, sample and Dockerfile fit each other."""

from __future__ import annotations

import configparser
import importlib.resources
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.patience import HANG_S
from tinyfleet.gateway.config import CONFIG_VERSION, load_config

FOLDER = Path(str(importlib.resources.files("tinyfleet.deploy"))) / "service"


def test_unit_is_one_that_systemd_takes(tmp_path: Path) -> None:
    text = (FOLDER / "tinyfleet-gateway.service").read_text(encoding="utf-8")
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read_string(text)
    service = unit["Service"]
    assert service["ExecStart"] == "/opt/tinyfleet/bin/tinyfleet gateway run /etc/tinyfleet/gateway.toml"
    assert (service["User"], service["Restart"], service["NoNewPrivileges"]) == ("tinyfleet", "always", "true")
    # Where systemd is, it has the word; the program need not be installed for that.
    if (analyze := shutil.which("systemd-analyze")) is not None:
        path = tmp_path / "tinyfleet-gateway.service"
        path.write_text(text.replace("/opt/tinyfleet/bin/tinyfleet", "/bin/true"), encoding="utf-8")
        done = subprocess.run([analyze, "verify", str(path)], capture_output=True, text=True, timeout=HANG_S, check=False)
        assert (done.returncode, done.stderr) == (0, "")


def test_sample_configuration_is_of_this_version_and_the_script_and_unit_name_its_place() -> None:
    config = load_config(FOLDER / "gateway.toml")
    assert (config.version, str(config.data_dir)) == (CONFIG_VERSION, "/var/lib/tinyfleet")
    for name in ("install.sh", "tinyfleet-gateway.service", "Dockerfile"):
        assert "/etc/tinyfleet/gateway.toml" in (FOLDER / name).read_text(encoding="utf-8")


def test_container_only_calls_the_script() -> None:
    lines = (FOLDER / "Dockerfile").read_text(encoding="utf-8").splitlines()
    runs = [line for line in lines if line.startswith("RUN")]
    assert len(runs) == 1 and "install.sh" in runs[0]
    assert any("Not built" in line for line in lines)


@pytest.mark.parametrize(
    ("words", "code", "says"), [([], 2, "usage:"), (["a", "b", "c"], 2, "usage:"), (["tinyfleet", "absent.toml"], 1, "hint:")]
)
def test_script_refuses_with_a_next_step(words: list[str], code: int, says: str) -> None:
    # Without root it stops there; with root it stops at the configuration that is absent. Nothing is installed either way.
    done = subprocess.run(
        ["sh", str(FOLDER / "install.sh"), *words],
        capture_output=True, text=True, timeout=HANG_S, check=False, env={**os.environ, "TINYFLEET_PREFIX": "/nonexistent"},
    )  # fmt: skip
    assert done.returncode == code and says in done.stderr
