"""``tinyfleet doctor`` sees what is there and what is not."""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.patience import HANG_S
from tinyfleet import doctor
from tinyfleet_codegen.errors import SetupError


def _doctor(env: dict[str, str]) -> tuple[int, dict[str, dict[str, object]]]:
    run = subprocess.run(
        [sys.executable, "-m", "tinyfleet", "doctor", "--json"], env=env, capture_output=True, text=True, timeout=HANG_S, check=False
    )
    report = json.loads(run.stdout)
    assert report["healthy"] == (run.returncode == 0)
    return run.returncode, {finding["name"]: finding for finding in report["findings"]}


def test_everything_that_run_installs_is_found() -> None:
    code, findings = _doctor(dict(os.environ))
    assert code == 0, findings
    assert {finding["state"] for finding in findings.values()} == {"ok"}


def test_missing_programs_are_named_with_the_command_that_brings_them(tmp_path: Path) -> None:
    env = {name: value for name, value in os.environ.items() if name != "CC"}
    code, findings = _doctor(env | {"PATH": str(tmp_path), "TINYFLEET_TOOLS": ""})
    assert code == 1
    for name, package in (("arm compiler", "gcc-arm-none-eabi"), ("qemu", "qemu-system-arm")):
        assert findings[name]["state"] == "missing"
        assert package in findings[name]["fix"]


def test_a_package_outside_its_range_is_missing_and_an_absent_extra_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.metadata.version

    def version(name: str) -> str:
        if name == "fastapi":
            raise importlib.metadata.PackageNotFoundError(name)
        return "0.1" if name == "httpx" else real(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    findings = {finding.name: finding for finding in doctor.examine()}
    assert findings["packages"].state is doctor.State.MISSING
    assert "httpx is 0.1, needs >=" in findings["packages"].detail
    assert findings["extra cloud"].state is doctor.State.ABSENT
    assert any(argument.startswith("fastapi") for argument in findings["extra cloud"].fix)


def test_repair_runs_the_command_of_what_is_missing_only(tmp_path: Path) -> None:
    made = tmp_path / "made"
    touch = (sys.executable, "-c", f"open({str(made)!r}, 'w')")
    doctor.repair([doctor.Finding("extra", doctor.State.ABSENT, "", touch)])
    assert not made.exists()
    doctor.repair([doctor.Finding("thing", doctor.State.MISSING, "", touch)])
    assert made.exists()
    with pytest.raises(SetupError, match="thing"):
        doctor.repair([doctor.Finding("thing", doctor.State.MISSING, "", (sys.executable, "-c", "raise SystemExit(3)"))])
