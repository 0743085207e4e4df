"""The runner's side of the MLPerf Tiny serial protocol: drives a board that runs ``firmware/apps/mlperf_tiny``.

It sends what the benchmark's own runner sends (``db load``, ``db`` with at most 31 bytes, ``infer``) and reads the answers as it does,
so a board that passes here talks to that runner too. What to measure is up to the caller: one inference a loaded input is the
accuracy mode, many inferences of one input the performance mode.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinyfleet.cases import Array, Cases
from tinyfleet.emulator import EmulatedBoard
from tinyfleet.link.opening import open_pipe
from tinyfleet.link.pipe import BytePipe
from tinyfleet.oracle import open_oracle
from tinyfleet.platformio_build import build_firmware
from tinyfleet_codegen.compile import compile_graph, compile_model
from tinyfleet_codegen.compiled import TensorInfo
from tinyfleet_codegen.errors import DeviceError, LinkTimeout, ProtocolError
from tinyfleet_codegen.package import ModelPackage

APP = "mlperf_tiny"
_BYTES_PER_COMMAND = 31
_TERMINATOR = "%"
_READY = "m-ready"
_LAP = re.compile(r"m-lap-us-([0-9]+)")
_RESULTS = re.compile(r"m-results-\[([^]]+)\]")
_NAME = re.compile(r"m-name-dut-\[([^]]+)\]")
_MODEL = re.compile(r"m-model-\[([^]]+)\]")
_PIXEL_MODELS = ("ic01", "vww01")
_FLOAT_MODELS = ("ad01",)


@dataclass(frozen=True, slots=True)
class Inference:
    """What ``infer`` answered: the results of the last inference, and the time of all of them on the board's clock."""

    results: tuple[float, ...]
    elapsed_us: int


class MlperfDevice:
    """A board at the other end of an open pipe; see :func:`open_mlperf_device`."""

    def __init__(self, pipe: BytePipe, url: str, timeout_s: float) -> None:
        self._pipe = pipe
        self._url = url
        self._timeout_s = timeout_s
        self._received = b""

    async def command(self, text: str) -> list[str]:
        """Send one command and return the lines of its answer, without the last, ``m-ready``.

        Raises:
            LinkTimeout: no answer in time.
            LinkClosed: the board is gone.
            DeviceError: the board refused the command.
        """
        lines: list[str] = []
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._pipe.write((text + _TERMINATOR).encode())
                while (line := await self._line()) != _READY:
                    lines.append(line)
        except TimeoutError as error:
            raise LinkTimeout(f"{self._url} did not answer {text[:40]!r} within {self._timeout_s:g} s") from error
        for line in lines:
            if line.startswith("e-["):
                raise DeviceError(f"{self._url} refused {text[:40]!r}: {line[3:].rstrip(']')}", status="TYF_ERR_ARG")
        return lines

    async def synchronize(self) -> None:
        """End what may stand in the board's command buffer, and pass over what it said before.

        A board that starts says ``m-ready`` by itself, and how much of that arrives depends on when the host came. So the
        answer to an unknown word is waited for.
        """
        word = "tinyfleet-hello"
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._pipe.write(f"{_TERMINATOR}{word}{_TERMINATOR}".encode())
                while word not in await self._line():
                    pass
                while await self._line() != _READY:
                    pass
        except TimeoutError as error:
            raise LinkTimeout(
                f"{self._url} does not speak the MLPerf Tiny protocol", hint="flash firmware built with --app mlperf_tiny"
            ) from error

    async def _line(self) -> str:
        while b"\n" not in self._received:
            self._received += await self._pipe.read()
        line, _, self._received = self._received.partition(b"\n")
        return line.decode(errors="replace").strip("\r\0")

    async def name(self) -> str:
        """Who the board says it is."""
        return _only(_NAME, await self.command("name"))

    async def model(self) -> str:
        """The benchmark that the board runs, for example ``kws01``; the model's own name when it is none of them."""
        return _only(_MODEL, await self.command("profile"))

    async def load(self, data: bytes) -> None:
        """Send one input as :func:`wire_input` makes it."""
        await self.command(f"db load {len(data)}")
        lines: list[str] = []
        for at in range(0, len(data), _BYTES_PER_COMMAND):
            lines = await self.command(f"db {data[at : at + _BYTES_PER_COMMAND].hex()}")
        if lines != ["m-load-done"]:
            raise ProtocolError(f"{self._url} did not end the load of {len(data)} bytes: {lines}")

    async def infer(self, count: int, warmups: int) -> Inference:
        """Run ``count`` inferences after ``warmups`` that are not timed."""
        lines = await self.command(f"infer {count} {warmups}")
        laps = [int(lap) for line in lines for lap in _LAP.findall(line)]
        if len(laps) != 2:
            raise ProtocolError(f"{self._url} sent {len(laps)} time stamps, not 2: {lines}")
        return Inference(tuple(float(value) for value in _only(_RESULTS, lines).split(",")), laps[1] - laps[0])


@asynccontextmanager
async def open_mlperf_device(url: str, *, timeout_s: float = 60.0) -> AsyncIterator[MlperfDevice]:
    """Open the board at a device URL; ends what may stand half in its command buffer.

    Args:
        timeout_s: For one command; ``infer`` answers when all its inferences are done.

    Raises:
        UsageError, LinkError: see :func:`tinyfleet.link.opening.open_pipe`.
    """
    async with open_pipe(url) as pipe:
        device = MlperfDevice(pipe, url, timeout_s)
        await device.synchronize()
        yield device


def wire_input(model: str, tensor: TensorInfo, x: Array) -> bytes:
    """One quantized input ``[1, ...]`` as the benchmark's data sets hold it: pixels for images, float32 for audio frames of ad01."""
    if model in _PIXEL_MODELS:
        return (x.astype(np.int16) + 128).astype(np.uint8).tobytes()
    if model in _FLOAT_MODELS:
        return _real(tensor, x).astype("<f4").tobytes()
    return x.tobytes()


def expected_results(model: str, source: TensorInfo, x: Array, output_info: TensorInfo, output: Array) -> tuple[float, ...]:
    """What a board must answer when the model made ``output`` of ``x``: each real value; for ad01 the mean squared error."""
    real = _real(output_info, output).reshape(-1)
    if model in _FLOAT_MODELS:
        difference = real - _real(source, x).reshape(-1)
        return (float(np.mean(difference.astype(np.float64) ** 2)),)
    return tuple(real.tolist())


def _real(info: TensorInfo, q: Array) -> Array:
    if info.scale is None or info.zero_point is None:
        return q
    return (np.float32(info.scale) * (q.astype(np.int32) - info.zero_point)).astype(np.float32)


def _only(pattern: re.Pattern[str], lines: list[str]) -> str:
    found = [match[1] for line in lines if (match := pattern.fullmatch(line))]
    if len(found) != 1:
        raise ProtocolError(f"{len(found)} lines match {pattern.pattern!r}, not one: {lines}")
    return found[0]


PERFORMANCE_WINDOWS = 5
"""As the benchmark's rules have it: the median of five."""


@dataclass(frozen=True, slots=True)
class MlperfReport:
    """What a board showed.

    Attributes:
        device, model: As the board names itself and its benchmark.
        checked, equal: Inputs sent, and how many results were the oracle's.
        inferences: Of each performance window.
        per_second: Median over the windows, on the board's clock.
    """

    url: str
    device: str
    model: str
    oracle: str
    checked: int
    equal: int
    inferences: int
    per_second: float


async def drive(url: str, package: ModelPackage, *, count: int, inferences: int, seed: int = 1, timeout_s: float = 60.0) -> MlperfReport:
    """Both modes: ``count`` seeded inputs against the oracle, then windows of ``inferences`` of the last one.

    Raises:
        LinkError, DeviceError, ProtocolError: see :class:`MlperfDevice`.
    """
    compiled = compile_graph(package, None)
    oracle = open_oracle(package.tflite, package.name)
    cases = Cases(compiled, seed)
    async with open_mlperf_device(url, timeout_s=timeout_s) as device:
        name, model = await device.name(), await device.model()
        equal = 0
        for case in range(count):
            x = cases.input(case)
            await device.load(wire_input(model, compiled.input, x))
            answer = await device.infer(1, 0)
            expected = expected_results(model, compiled.input, x, compiled.output, oracle.run(x))
            equal += len(answer.results) == len(expected) and bool(np.allclose(answer.results, expected, rtol=1e-5, atol=6e-7))
        windows = [await device.infer(inferences, 1 if window == 0 else 0) for window in range(PERFORMANCE_WINDOWS)]
    per_second = float(np.median([inferences / (window.elapsed_us / 1e6) for window in windows]))
    return MlperfReport(url, name, model, oracle.name, count, equal, inferences, per_second)


def drive_emulated(board: str, package: ModelPackage, work_dir: Path, *, count: int, inferences: int) -> MlperfReport:
    """Build the app with the model, boot it with its UART as a serial port, and drive it there.

    Raises:
        CompileError, BuildError: see :mod:`tinyfleet_codegen.errors`; and what :func:`drive` raises.
    """
    compile_model(package, board, work_dir / "model")
    firmware = build_firmware(board, work_dir / "model", work_dir / "firmware", app=APP)
    with EmulatedBoard.start(board, firmware.elf, work_dir / "nvm.bin", pty=True) as running:
        return asyncio.run(drive(running.url, package, count=count, inferences=inferences))
