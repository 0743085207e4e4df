"""Rules of the tree that no linter knows."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from tests.support.patience import HANG_S
from tinyfleet.cli import app
from tinyfleet_codegen.firmware_tree import firmware_dir
from tinyfleet_codegen.wire import c_header

ROOT = Path(__file__).resolve().parents[2]

# Spelled in halves, so that this file passes its own test.
FORBIDDEN = {
    "a package registry's host": re.compile(
        r"(py" r"pi|pythonhosted|npm" r"js|deb\.deb" r"ian|ubu" r"ntu|platformio)\.(org|com|io)\b", re.I
    ),
    "an index option": re.compile(r"--(extra-)?index" r"-url|find" r"-links"),
    "a path of one machine": re.compile(r"(?<![\w.{}\"'/-])/(ro" r"ot|wo" r"rk|ho" r"me/\w+)/"),
}


def _tracked_texts() -> list[tuple[str, str]]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, timeout=HANG_S, check=True)
    texts = []
    for name in listed.stdout.split("\0"):
        path = ROOT / name
        if name and path.is_file():
            data = path.read_bytes()
            if b"\0" not in data:
                texts.append((name, data.decode("utf-8")))
    return texts


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_names(what: str) -> None:
    found = [
        f"{name}:{number}: {line.strip()[:120]}"
        for name, text in _tracked_texts()
        for number, line in enumerate(text.splitlines(), 1)
        if FORBIDDEN[what].search(line)
    ]
    assert not found, f"{what} in:\n" + "\n".join(found)


def test_every_command_module_is_registered_and_every_registered_one_exists() -> None:
    modules = {path.stem for path in Path(app.__file__).parent.glob("*.py") if "\ndef register(" in path.read_text(encoding="utf-8")}
    assert modules == set(app.COMMANDS)
    assert len(app.COMMANDS) == len(set(app.COMMANDS))


def test_generated_wire_header_is_fresh() -> None:
    committed = (firmware_dir() / c_header.HEADER).read_text(encoding="utf-8")
    assert committed == c_header.render(), "run: python -m tinyfleet_codegen.wire.c_header --write firmware"


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _installed_by_run() -> set[str]:
    """Canonical names of everything that ``pip install tinyfleet[all,dev]`` needs on this machine."""
    seen: set[tuple[str, str]] = set()
    todo = [("tinyfleet", extra) for extra in ("", "all", "dev")]
    while todo:
        name, extra = todo.pop()
        if (name, extra) not in seen:
            seen.add((name, extra))
            for requirement in map(Requirement, importlib.metadata.requires(name) or []):
                if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                    todo += [(_canonical(requirement.name), e) for e in ("", *requirement.extras)]
    return {name for name, _ in seen} - {"tinyfleet"}


def test_constraints_pin_exactly_every_package_that_run_installs() -> None:
    pins: dict[str, str] = {}
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            name, equals, version = line.partition(";")[0].strip().partition("==")
            assert equals and re.fullmatch(r"[\w.!+-]+", version), f"constraints.txt: not an exact pin: {line}"
            pins[_canonical(name)] = version
    installed = _installed_by_run()
    assert sorted(installed - set(pins)) == [], "not pinned in constraints.txt"
    other = {name: importlib.metadata.version(name) for name in installed if importlib.metadata.version(name) != pins[name]}
    assert other == {}, "installed in another version than constraints.txt says"


def test_hooks_are_local_and_use_the_tools_of_the_environment() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert [repo["repo"] for repo in config["repos"]] == ["local"]
    for hook in config["repos"][0]["hooks"]:
        tools = re.findall(r"\.venv/bin/[\w-]+", hook["entry"])
        assert tools and all((ROOT / tool).exists() for tool in tools), hook["entry"]


def test_every_fragment_of_the_changelog_has_a_kind() -> None:
    names = {path.name for path in (ROOT / "docs/changelog.d").iterdir()} - {"README.md"}
    assert all(re.fullmatch(r"[a-z0-9_-]+\.(added|changed|fixed|removed)\.md", name) for name in names), names
