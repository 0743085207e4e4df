"""A model swap on an emulated board, in figures: how long answers fail to come while a package is proved, and what a delta saves.

The board's own sensor measures as fast as a third of the time is left to management. Meanwhile a package of the same model is checked,
proved, watched beside the live one, and takes its place. Times are the emulator's: instructions, not cycles, of a core that
never sleeps, as a sleeping one's clock follows the host's and is late when the host is.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from tinyfleet.device import Device, open_device
from tinyfleet.device_models import TestPolicy
from tinyfleet.emulator import EmulatedBoard
from tinyfleet.model_package import make_delta, pack_model, read_package
from tinyfleet.platformio_build import build_firmware
from tinyfleet.signing_keys import development_keys, keys_header
from tinyfleet_codegen.compile import compile_graph, compile_model
from tinyfleet_codegen.errors import CompileError, DeviceError
from tinyfleet_codegen.package import ModelPackage
from tinyfleet_codegen.target import load_target
from tinyfleet_codegen.tflite.reader import read_tflite
from tinyfleet_codegen.wire.ids import DType
from tinyfleet_codegen.wire.record import decode_record

SEED, HEAD_SEED = 3, 7
SHADOWED = 3
TIMEOUT_S = 120.0
_ALIGNMENT = 16


@dataclass(frozen=True, slots=True)
class SwapFigures:
    """What was measured.

    Attributes:
        package_bytes: Of the package that was proved.
        delta_bytes: Of a delta to the same model with other weights in its last layer; None: it would not pay.
        head_share: Those weights of all constant bytes of the file.
        latency_us: Of one inference that nothing else shares the board with.
        period_ms: Time between two samples.
        answers: While the package was proved and took over.
        max_gap_us: Longest time between the ends of two answers.
        late: Samples that found the answer before them not ready.
    """

    model: str
    board: str
    package_bytes: int
    delta_bytes: int | None
    head_share: float
    latency_us: int
    period_ms: int
    answers: int
    max_gap_us: int
    late: int

    @property
    def gap_inferences(self) -> float:
        """The longest gap in inferences."""
        return self.max_gap_us / self.latency_us


def bench_swap(package: ModelPackage, board: str) -> SwapFigures:
    """Build firmware that takes models, run it, swap.

    Raises:
        CompileError, BuildError, LinkError, DeviceError: see :mod:`tinyfleet_codegen.errors`.
        UsageError: the board takes no models.
    """
    keys = development_keys()
    compiled = compile_graph(package, load_target(board), in_one_memory=True)
    # Beside its own arena a candidate that is watched needs the live model's output.
    outputs = sum(compiled.graph.tensors[index].bytes for index in compiled.graph.outputs)
    arena_bytes = compiled.arena_bytes + -(-outputs // _ALIGNMENT) * _ALIGNMENT + _ALIGNMENT
    signed = pack_model(package, board, key=keys.model)
    other, head_share = with_other_head(package)
    delta = make_delta(signed, pack_model(other, board, key=keys.model))
    with TemporaryDirectory(prefix="tinyfleet-swap-") as name:
        folder = Path(name)
        compile_model(package, board, folder / "model", swap_arena_bytes=arena_bytes)
        with (folder / "model" / "model_config.h").open("a", encoding="utf-8") as config:
            config.write("#define TYF_CFG_STAY_AWAKE 1\n")
        elf = build_firmware(board, folder / "model", folder / "firmware", keys_header=keys_header(keys)).elf
        with EmulatedBoard.start(board, elf, folder / "board.nvm") as emulated:
            latency_us, period_ms, (answers, gap_us, late) = asyncio.run(_swap(emulated.url, signed))
    size = None if delta is None else len(delta)
    return SwapFigures(package.name, board, len(signed), size, head_share, latency_us, period_ms, answers, gap_us, late)


async def _swap(url: str, package: bytes) -> tuple[int, int, tuple[int, int, int]]:
    async with open_device(url, timeout_s=TIMEOUT_S) as device:
        await device.models.push(package)
        latency_us = await _latency_us(device)
        period_ms = max(3, -(-latency_us * 3 // 2 // 1000))
        await device.sample(period_ms, seed=SEED)
        await device.models.test(TestPolicy(shadow=SHADOWED, agree=SHADOWED))
        await device.models.wait(timeout_s=TIMEOUT_S)
        await device.models.confirm(read_package(package).digest)
        state = await device.sample(0)
    if not state.answers:
        raise DeviceError(f"{url} gave no answer while the package was proved", status="TYF_ERR_STATE")
    return latency_us, period_ms, (state.answers, state.max_gap_us, state.late)


async def _latency_us(device: Device) -> int:
    async with asyncio.timeout(TIMEOUT_S):
        await device.sample(1000, seed=SEED, count=2)
        while (await device.sampling()).running:
            pass
    return decode_record((await device.results(0, 1)).records[0]).latency_us


def with_other_head(package: ModelPackage) -> tuple[ModelPackage, float]:
    """The model with other weights in its last layer, as after a training of the head alone; and their share of all constants.

    Raises:
        CompileError: it has no weights, or they do not stand in the file by themselves.
    """
    graph = read_tflite(package.tflite, package.name)
    constants = [tensor.data for tensor in graph.tensors if tensor.data is not None]
    weights = [
        tensor.data
        for node in graph.nodes
        for tensor in (graph.tensors[index] for index in node.inputs if index is not None and index >= 0)
        if tensor.data is not None and tensor.dtype is DType.INT8 and len(tensor.shape) > 1
    ]
    head = weights[-1].tobytes() if weights else b""
    if not head or package.tflite.count(head) != 1:
        raise CompileError(f"{package.name} has no last layer whose weights can be exchanged")
    other = np.random.default_rng(HEAD_SEED).integers(-127, 128, len(head), dtype=np.int8).tobytes()
    return replace(package, tflite=package.tflite.replace(head, other)), len(head) / sum(data.nbytes for data in constants)
