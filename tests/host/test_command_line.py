"""What every command has in common: it explains itself, and whatever a user gets wrong is one line with a next step."""

from __future__ import annotations

import importlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from tinyfleet.cli import app as command_line

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    """Help of every command and group, by its words."""
    for name in command_line.COMMANDS:
        importlib.import_module(f"tinyfleet.cli.{name}").register(command_line.app)

    def walk(command: Any, path: str, parent: Any) -> Iterator[tuple[str, str]]:
        context = command.context_class(command, info_name=path.rpartition(" ")[2], parent=parent)
        yield path, command.get_help(context)
        for name, inner in getattr(command, "commands", {}).items():
            yield from walk(inner, f"{path} {name}", context)

    return dict(walk(typer.main.get_command(command_line.app), "tinyfleet", None))


def _entries(page: str) -> list[tuple[str, str]]:
    """``(option or argument, what is said of it)`` of the page of one command."""
    found: list[tuple[str, str]] = []
    section = ""
    for line in page.splitlines():
        if not line.startswith(" "):
            section = line.strip()
        elif section in ("Arguments:", "Options:"):
            text = line[2:]
            if text.startswith(" "):
                found[-1] = (found[-1][0], f"{found[-1][1]} {text.strip()}")
            else:
                name, _, words = text.partition("  ")
                found.append((name, words.strip()))
    return found


def test_every_command_has_an_example_and_explains_each_argument_and_option(pages: dict[str, str]) -> None:
    assert len(pages) > 60
    for path, page in pages.items():
        if "\nCommands:" in page:
            continue
        assert f"Example: {path}" in " ".join(page.split()), path
        entries = _entries(page)
        assert "--json" in dict(entries), path
        for name, words in entries:
            said = words.partition("[")[0] if words.startswith("[") else words
            assert len(said) > 8, f"{path}: {name} is not explained: {words!r}"
            assert "\\" not in words, f"{path}: {name}: {words!r}"


WRONG = [
    # words, exit code, what the line names, what the hint names
    ("compil x", 2, "'compil'", "tinyfleet --help"),
    ("device inf tcp://127.0.0.1:1", 2, "'info'", "tinyfleet device --help"),
    ("compile", 2, "'MODEL.tflite'", "tinyfleet compile --help"),
    ("compile text.tflite --bord host -o out", 2, "--bord", "--help"),
    ("verify text.tflite -n 0", 2, "'-n'", "tinyfleet verify --help"),
    ("demo --link wire", 2, "'wire' is not one of 'tcp'", "tinyfleet demo --help"),
    ("cloud serve --data data --port 99999", 2, "65535", "tinyfleet cloud serve --help"),
    ("profile a b", 2, "b", "tinyfleet profile --help"),
    ("compile absent.tflite --board mps2_an386 -o out", 1, "absent.tflite: No such file", ".tflite"),
    ("compile folder --board mps2_an386 -o out", 1, "folder: Is a directory", ".tflite"),
    ("compile text.tflite --board mps2_an386 -o out", 1, "not a TFL3 file", "identifier TFL3"),
    ("compile text.tflite --board nosuch -o out", 2, "'nosuch'", "mps2_an386"),
    ("verify text.tflite --on host", 1, "not a TFL3 file", "identifier TFL3"),
    ("profile folder --board mps2_an386", 1, "folder: Is a directory", ".tflite"),
    ("profile --compare text.tflite absent.json", 1, "text.tflite is no profile: Expecting value", "--json > before.json"),
    ("profile --compare absent.json absent.json", 1, "absent.json is no profile: No such file", "--json > before.json"),
    ("quantize text.tflite --calibration x.npz -o m.tflite", 1, "x.npz: No such file", "np.savez"),
    ("quantize text.tflite --calibration text.tflite -o m.tflite", 1, "text.tflite", "np.savez"),
    ("build --board mps2_an386 --model folder -o out", 2, "folder", "tinyfleet compile"),
    ("build --board nosuch --model text.tflite -o out", 2, "'nosuch'", "mps2_an386"),
    ("build --board mps2_an386 --model text.tflite --signed --keys absent -o out", 2, "absent", "tinyfleet keys new -o absent"),
    ("flash --board mps2_an386 --elf text.tflite", 2, "mps2_an386", "tinyfleet emulate"),
    ("flash --board nrf52840_dk --elf absent.elf", 2, "absent.elf", "tinyfleet build"),
    ("emulate mps2_an386", 2, "--elf", "tinyfleet build"),
    ("emulate mps2_an386 --elf text.tflite", 1, "text.tflite is not a 32-bit", "firmware.elf"),
    ("emulate mps2_an386 --boot folder", 2, "folder", "--signed -o folder"),
    ("monitor board", 2, "'board'", "serial://"),
    ("monitor serial:///dev/absent", 1, "/dev/absent", "tinyfleet device scan"),
    ("device info tcp://127.0.0.1:1", 1, "127.0.0.1:1", "running"),
    ("device info serial:///dev/null", 1, "/dev/null", "tinyfleet device scan"),
    ("zoo show nosuch", 2, "'nosuch'", "gesture"),
    ("zoo train gesture -o text.tflite", 1, "text.tflite", "-o"),
    ("new folder --recipe gesture --board mps2_an386", 2, "folder", "another name"),
    ("new Bad-Name --recipe gesture --board mps2_an386", 2, "'Bad-Name'", "lift_counter"),
    ("demo -o text.tflite", 1, "text.tflite", "-o"),
    ("bench gateway --part outbox --folder absent", 1, "absent", "path"),
    ("bench engine --models folder --baseline absent.toml", 1, "absent.toml: No such file", "baseline.toml"),
    ("gateway run absent.toml", 1, "absent.toml", "configuration"),
    ("gateway check text.tflite", 1, "text.tflite is not valid TOML", "config.md"),
    ("gateway monitoring -o text.tflite", 1, "text.tflite", "folder"),
    ("cloud serve --data text.tflite", 1, "text.tflite", "folder"),
    ("cloud serve --data data --token-file absent", 1, "absent", "token"),
    ("cloud ingest --from absent", 1, "absent", ".jsonl"),
    ("model pack text.tflite --board mps2_an386 -o p.tfp", 1, "not a TFL3 file", "TFL3"),
    ("model inspect text.tflite", 1, "text.tflite", "model pack"),
    ("model inspect absent.tfp", 2, "absent.tfp: No such file", "model pack"),
    ("keys show absent", 2, "absent", "tinyfleet keys new"),
    ("firmware sign absent --board mps2_an386 --image-version 1.0.0", 2, "absent", "--signed"),
    ("air serve --faults absent.toml", 1, "absent.toml", "ble.md"),
]  # fmt: skip


def _call(words: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["tinyfleet", *words.split()])
    return command_line.main()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a text and a folder in it, where users go wrong."""
    (tmp_path / "text.tflite").write_text("hello\n", encoding="utf-8")
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("words", "code", "named", "hint"), WRONG, ids=[row[0] for row in WRONG])
@pytest.mark.usefixtures("place")
def test_what_a_user_gets_wrong_is_one_line_and_a_next_step(
    words: str, code: int, named: str, hint: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _call(words, monkeypatch) == code
    said = capsys.readouterr()
    lines = [line for line in said.err.splitlines() if line.startswith(("error: ", "  hint: "))]
    assert len(lines) == 2, said.err
    assert named in lines[0] and hint in lines[1], said.err
    assert "Traceback" not in said.err and "Errno" not in said.err and "Error(" not in said.err, said.err


@pytest.mark.usefixtures("place")
def test_a_port_that_is_taken_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for words in (f"cloud serve --data data --port {port}", f"air serve --port {port}"):
            assert _call(words, monkeypatch) == 1
            said = capsys.readouterr().err
            assert f"cannot listen on 127.0.0.1 port {port}: Address already in use\n  hint: " in said, said


def _process(words: str, **how: Any) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-P", "-m", "tinyfleet", *words.split()], stderr=subprocess.PIPE, text=True, **how)


@pytest.mark.parametrize("words", ["zoo show gesture", "--help", "doctor --json"])
def test_a_reader_that_goes_away_is_no_error(words: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with _process(words, stdout=writer) as process:
        os.close(writer)
        said = process.communicate(timeout=100)[1]
    assert process.returncode in (0, 1) and said == "", said


@pytest.mark.parametrize("words", ["zoo show gesture", "--help"])
def test_a_full_disk_is_one_line(words: str) -> None:
    with Path("/dev/full").open("w") as full, _process(words, stdout=full) as process:
        said = process.communicate(timeout=100)[1]
    assert process.returncode == 1
    assert "No space left on device\n  hint: make room" in said and len(said.splitlines()) == 2, said


def test_a_closed_standard_output_is_no_error() -> None:
    command = ["sh", "-c", 'exec "$0" -P -m tinyfleet zoo list >&-', sys.executable]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("words", ["zoo list", "zoo show gesture", "doctor", "keys show", "device scan --timeout 0.1"])
@pytest.mark.usefixtures("place")
def test_json_is_all_that_is_on_standard_output(words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    _call(f"{words} --json", monkeypatch)
    json.loads(capsys.readouterr().out)
