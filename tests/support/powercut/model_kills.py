"""An emulated board whose power is cut while a host gives it another model over its UART: the sensor application, as it is used."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.support.model_board import answer, some_input
from tests.support.model_swap import ARENA_BYTES, BUILT_IN, good_package, write_key, write_swap_files
from tests.support.powercut.kills import BEFORE, BOARD, KilledBoard, Page, Programs
from tests.support.small_models import dense_package
from tinyfleet.device import Device, open_device
from tinyfleet.device_models import TestPolicy
from tinyfleet.emulator import EmulatedBoard
from tinyfleet.model_package import read_package
from tinyfleet.platformio_build import build_firmware
from tinyfleet_codegen.compile import compile_model
from tinyfleet_codegen.wire.settings import read_settings

MODELS = tuple(dense_package(name, seed, hidden=4) for name, seed in (("first", 11), ("second", 12)))
_TIMEOUT_S = 30.0


class KilledModels(KilledBoard):
    """The first model is live; the host pushes, tests and confirms the second.

    The file is asked which model is live and whether it lies there whole, the board by the bits that it answers.
    """

    name = "model swap over the UART"
    flow = 3

    def __init__(self, folder: Path, board: str = BOARD) -> None:
        model = folder / f"swap_model_{board}"
        compiled = compile_model(BUILT_IN, board, model, swap_arena_bytes=ARENA_BYTES)
        write_swap_files(model, compiled.cpu_class, ARENA_BYTES, FLASH_CUT=1)
        output = folder / f"swap_out_{board}"
        output.mkdir()
        elf = build_firmware(board, model, output).elf
        key = write_key(folder)
        self.packages = [good_package(package, board, key) for package in MODELS]
        self.input = some_input(1)
        self.answers = [answer(good_package(package, "host", key), self.input) for package in MODELS]
        self.is_confirming = self.is_confirmed = False
        super().__init__(Programs(elf), folder, board)
        self._run(0, BEFORE, 0)
        with self._memory() as memory:
            self._base = bytes(memory)

    def _run(self, cut_at: int, how: int, wanted: int) -> Page:
        """Start the board and give it a model, until that is done or the board stops; then kill the emulator."""

        async def work(url: str) -> None:
            async with open_device(url, timeout_s=_TIMEOUT_S) as device:
                await self._look(device)
                await self._make_live(device, wanted)

        async def until_stopped(url: str) -> Page:
            task = asyncio.create_task(work(url))
            while not self._page(memory).stopped:  # The file is the only sign of a board that has stopped.
                if (await asyncio.wait({task}, timeout=0.002))[0]:
                    break
            page = self._page(memory)
            if page.stopped:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            else:
                await task
            return page

        with self._memory() as memory:
            self._write_page(memory, cut_at, how)
            with EmulatedBoard.start(self.board, self.programs.elf, self.nvm) as board:
                page = asyncio.run(until_stopped(board.url))
                board.kill()
        self.kills += 1
        return page

    async def _look(self, device: Device) -> None:
        """What answers at the start, by its bits; the built-in model before there was any other."""
        self.first = await device.infer(self.input)

    async def _make_live(self, device: Device, wanted: int) -> None:
        package = self.packages[wanted]
        digest = read_package(package).digest
        if (await device.models.list()).live_digest != digest:
            await device.models.push(package)
            await device.models.test(TestPolicy(budget_ms=1000))
            await device.models.wait(timeout_s=_TIMEOUT_S)
            self.is_confirming = True
            await device.models.confirm(digest)
        self.is_confirmed = True
        self.last = await device.infer(self.input)

    def start(self, cut_at: int = 0, how: int = BEFORE, progress: int = 0) -> Page:
        """See :class:`KilledBoard`."""
        self.is_confirming = self.is_confirmed = False
        return self._run(cut_at, how, 1)

    def live_in_file(self) -> int | None:
        """Which of the two models the file has as the live one, when it lies there whole."""
        value = read_settings((self.read("settings_0"), self.read("settings_1")), 8)[SETTING]
        place, digest = value[1], value[8:40]
        area = self.read(f"model_{place - 1}")
        for number, package in enumerate(self.packages):
            if digest == read_package(package).digest and area[: len(package)] == package:
                return number
        return None

    def check(self, page: Page) -> list[str]:
        """See :class:`KilledBoard`."""
        live = self.live_in_file()
        allowed = {1} if self.is_confirmed else {0, 1} if self.is_confirming else {0}
        if live not in allowed or live is None:
            return [f"after {page.operations} operations the file has model {live} as the live one, it could be {sorted(allowed)}"]
        self.start()
        wrong = []
        if self.first != self.answers[live]:
            wrong.append(f"the file has model {live} as the live one, and another one answers")
        if self.last != self.answers[1] or self.live_in_file() != 1:
            wrong.append("at the end the second model is not live")
        return wrong


SETTING = b".models"
"""Where ``lib/model_store`` keeps its choice: version, places of the live model and of the one before, ..., their digests."""
