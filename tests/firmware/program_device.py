"""A :class:`~tinyfleet.device.Device` on the firmware in a process of its own, under sanitizers, over a link that may lose what is sent."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.firmware.program_process import FirmwareProgram
from tinyfleet.device import Device
from tinyfleet.link.link import ConsoleLink
from tinyfleet.smp.client import DeviceClient
from tinyfleet_codegen.errors import LinkTimeout

LINE_BYTES = 128


class ProgramPipe:
    """Bytes to and from the program's UART.

    Attributes:
        loss: Share of writes that are damaged.
        lost: How many were.
    """

    def __init__(self, program: FirmwareProgram, *, loss: float = 0.0, seed: int = 0) -> None:
        self._program = program
        self._chance = random.Random(seed)
        self._received = b""
        self.loss = loss
        self.lost = 0

    async def write(self, data: bytes) -> None:
        if self._chance.random() < self.loss:
            self.lost += 1
            at = self._chance.randrange(len(data))
            data = data[:at] + bytes([data[at] ^ 1 << self._chance.randrange(8)]) + data[at + 1 :]
        self._received += self._program.ask("F", data)

    async def read(self) -> bytes:
        if not self._received:
            raise LinkTimeout("the program has nothing to say")  # it never will by itself
        data, self._received = self._received, b""
        return data

    async def close(self) -> None:
        pass


@asynccontextmanager
async def program_device(pipe: ProgramPipe) -> AsyncIterator[Device]:
    """The device behind a pipe."""
    link = ConsoleLink("program", pipe)
    try:
        device = Device("program", DeviceClient(link, 5.0), 5.0)
        await device.params()
        yield device
    finally:
        await link.disconnect()
