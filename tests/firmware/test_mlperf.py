"""The device's side of the MLPerf Tiny protocol: what each command answers, and that damaged ones never break it."""

from __future__ import annotations

import re
import struct

import numpy as np
import pytest

from tests.firmware.program_process import FirmwareProgram

READY = "m-ready\r\n"
KWS, IC, AD, OTHER = (490, 12), (3072, 10), (640, 640), (24, 5)
# The program's model copies; its scales and zero points.
INPUT_SCALE, INPUT_ZERO_POINT, OUTPUT_SCALE, OUTPUT_ZERO_POINT = 0.5, 3, 0.25, -2


def start(program: FirmwareProgram, sizes: tuple[int, int]) -> str:
    return program.ask("M", struct.pack("<II", *sizes)).decode()


def say(program: FirmwareProgram, text: str) -> str:
    """What one command answers before ``m-ready``."""
    answer = program.ask("m", text.encode()).decode()
    assert answer.endswith(READY) and answer.count(READY) == 1, answer
    return answer.removesuffix(READY)


def load(program: FirmwareProgram, data: bytes) -> None:
    assert say(program, f"db load {len(data)}%") == f"m-[Expecting {len(data)} bytes]\r\n"
    answers = [say(program, f"db {data[at : at + 31].hex()}%") for at in range(0, len(data), 31)]
    assert answers == [""] * (len(answers) - 1) + ["m-load-done\r\n"]


def results(answer: str) -> list[float]:
    found = re.fullmatch(r"(?s).*m-results-\[([^]]*)\]\r\n", answer)
    assert found, answer
    return [float(value) for value in found[1].split(",")]


def test_a_start_says_that_it_is_ready(program: FirmwareProgram) -> None:
    assert start(program, KWS) == "m-timestamp-mode-performance\r\nm-init-done\r\n" + READY


@pytest.mark.parametrize(("sizes", "model"), [(KWS, "kws01"), (IC, "ic01"), (AD, "ad01"), ((27648, 2), "vww01"), (OTHER, "copy")])
def test_the_benchmark_is_known_by_its_sizes(program: FirmwareProgram, sizes: tuple[int, int], model: str) -> None:
    start(program, sizes)
    assert say(program, "name%") == "m-name-dut-[tinyfleet]\r\n"
    assert say(program, "profile%") == f"m-profile-[ULPMark for tinyML Firmware V0.0.1]\r\nm-model-[{model}]\r\n"


def test_infer_answers_in_the_order_that_runners_read(program: FirmwareProgram) -> None:
    start(program, OTHER)
    load(program, bytes(range(24)))
    lines = say(program, "infer 3 2%").split("\r\n")
    assert [re.sub(r"us-\d+", "us-T", line) for line in lines[:-2]] == [
        *("m-warmup-start-2", "m-warmup-done", "m-infer-start-3", "m-lap-us-T", "m-lap-us-T", "m-infer-done")
    ]
    # Each inference begins with the loaded input, which the one before has overwritten.
    assert results("\r\n".join(lines)) == [OUTPUT_SCALE * (q - OUTPUT_ZERO_POINT) for q in range(5)]
    assert results(say(program, "results%")) == results("\r\n".join(lines))
    assert say(program, "infer 1%").startswith("m-warmup-start-10\r\n")
    assert re.fullmatch(r"m-lap-us-\d+\r\n", say(program, "timestamp%"))


def test_pixels_become_int8_and_are_printed_as_they_came(program: FirmwareProgram) -> None:
    start(program, IC)
    pixels = np.random.default_rng(5).integers(0, 256, 3072).astype(np.uint8)
    load(program, pixels.tobytes())
    for _ in range(2):  # An inference must not change what is loaded.
        expected = [OUTPUT_SCALE * (int(p) - 128 - OUTPUT_ZERO_POINT) for p in pixels[:10]]
        assert results(say(program, "infer 1 0%")) == expected
    printed = say(program, "db print%")
    assert bytes.fromhex("".join(re.findall(r"[0-9a-f]{2}(?=[-\r])", printed.replace("m-buffer-", "")))) == pixels.tobytes()
    assert all(len(line) == len("m-buffer-") + 23 for line in printed.split("\r\n")[:-1])


def test_floats_are_quantized_and_answered_with_their_mean_squared_error(program: FirmwareProgram) -> None:
    start(program, AD)
    values = np.random.default_rng(6).normal(0, 30, 640).astype(np.float32)
    # Ties, beyond the range, not numbers.
    values[:8] = [0.25, -0.25, 0.75, -0.75, 62.0, 62.3, -65.5, -70.0]
    load(program, values.tobytes())
    half_away = np.trunc(values / INPUT_SCALE + np.copysign(0.5, values)) + INPUT_ZERO_POINT
    q = np.clip(half_away, -128, 127)
    expected = np.mean((OUTPUT_SCALE * (q - OUTPUT_ZERO_POINT) - values.astype(np.float64)) ** 2)
    assert results(say(program, "infer 1 0%")) == pytest.approx([expected], rel=1e-5)
    values[:3] = [np.nan, np.inf, -np.inf]
    load(program, values.tobytes())
    assert "m-results-[" in say(program, "infer 1 0%")


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("db%", "e-[Command 'db' requires a subcommand]"),
        ("db load%", "e-[Command 'db load' must be for 24 bytes]"),
        ("db load 0%", "e-[Command 'db load' must be for 24 bytes]"),
        ("db load 25%", "e-[Command 'db load' must be for 24 bytes]"),
        ("db load 4294967320%", "e-[Command 'db load' must be for 24 bytes]"),
        ("db load 24x%", "e-[Command 'db load' must be for 24 bytes]"),
        ("db 00%", "e-[Command 'db load' must come first]"),
        ("infer 0 0%", "e-[Inference iterations must be 1 .. 1000000]"),
        ("infer 1000001 0%", "e-[Inference iterations must be 1 .. 1000000]"),
        ("infer 1 -1%", "e-[Inference warmup must be 0 .. 1000000]"),
        ("infer x%", "e-[Inference iterations must be 1 .. 1000000]"),
        ("nonsense 1 2%", "e-[Unknown command: nonsense]"),
        ("name" + " " * 77 + "%", "e-[A command has at most 80 characters]"),
    ],
)
def test_what_makes_no_sense_is_refused(program: FirmwareProgram, command: str, answer: str) -> None:
    start(program, OTHER)
    load(program, bytes(24))
    assert say(program, command) == answer + "\r\n"
    assert len(results(say(program, "infer 1 0%"))) == 5, "the loaded input must stay"


def test_half_a_load_is_no_input(program: FirmwareProgram) -> None:
    start(program, OTHER)
    assert say(program, "infer 1 0%") == "e-[The input lacks bytes: 24]\r\n"
    assert say(program, "db load 24%") == "m-[Expecting 24 bytes]\r\n"
    assert say(program, "db 0102%") == ""
    assert say(program, "db 0%") == "e-[Insufficient number of hex digits, or none]\r\n"
    assert say(program, "db 0g%") == "e-[Insufficient number of hex digits, or none]\r\n"
    assert say(program, "infer 1 0%") == "e-[The input lacks bytes: 22]\r\n"
    assert say(program, "db " + "ff" * 30 + "%") == "m-load-done\r\n"  # What is too much is passed over.
    assert results(say(program, "infer 1 0%"))[:2] == [OUTPUT_SCALE * (q - OUTPUT_ZERO_POINT) for q in (1, 2)]


def test_line_ends_between_commands_do_not_matter(program: FirmwareProgram) -> None:
    start(program, OTHER)
    assert program.ask("m", b"\r\nna\nme%\r\n%").decode() == "m-name-dut-[tinyfleet]\r\n" + READY + READY


CORPUS = ["name%", "profile%", "timestamp%", "help%", "db load 24%", "db load 2560%", "db 00112233445566778899aabbccddeeff%", "db print%"]
CORPUS += ["infer 1 0%", "infer 2 1%", "infer%", "results%", "db load 640%db " + "7f" * 31 + "%", "%%%", "x" * 300, "infer 10 99%db%"]


@pytest.mark.parametrize(("seed", "sizes"), [(1, OTHER), (2, AD)])
def test_damaged_commands_never_break_the_monitor(program: FirmwareProgram, seed: int, sizes: tuple[int, int]) -> None:
    rounds = 100_000
    start(program, sizes)
    corpus = b"".join(struct.pack("<H", len(text)) + text.encode() for text in CORPUS)
    assert program.ask("z", struct.pack("<II", seed, rounds) + corpus) == struct.pack("<I", rounds)
