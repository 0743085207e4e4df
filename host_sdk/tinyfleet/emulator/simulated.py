"""Simulated boards: the firmware itself, many times in this process, each behind a TCP port of its own.

::

    async with SimulatedFleet.start(model_dir, count=200) as fleet:
        await fleet.sample(period_ms=50)
        await fleet.run()                 # until cancelled: their time goes with ours
        print([board.url for board in fleet.boards])

They answer at once and their time goes in steps, so they prove nothing about timing; what they say and what they keep is the firmware's.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from tinyfleet.device import Device, open_device
from tinyfleet.link.memory import MemoryPipe
from tinyfleet_codegen.errors import LinkTimeout

TINY_MODEL = Path(__file__).with_name("tiny.tflite")
"""Windows of 8 samples of 3 channels through two dense layers to 5 classes: the least that is still a model."""
STEP_S = 0.05
"""How often a running fleet's time goes on."""
_READ_BYTES = 65536


class SimulatedBoard:
    """One of them. Made by :meth:`open`.

    Attributes:
        url: ``tcp://127.0.0.1:PORT``; one host at a time.
        device_id: Its identity, 16 bytes.
        restarts: How often :meth:`restart` was called.
    """

    def __init__(self, pipe: MemoryPipe, witness: Path | None) -> None:
        self.url = ""
        self.device_id = b""
        self.restarts = 0
        self._pipe = pipe
        self._witness = witness
        self._host: asyncio.StreamWriter | None = None
        self._take_witness()

    @classmethod
    async def open(cls, model_dir: Path, stack: AsyncExitStack, *, nvm: Path | None = None, witness: Path | None = None) -> SimulatedBoard:
        """Build, load and power on a board, and let it listen.

        Args:
            model_dir: Folder with the generated model, for the host.
            stack: Undoes it.
            nvm: See :meth:`~tinyfleet.link.memory.MemoryPipe.open`.
            witness: File that the trace of a test build (``TYF_CFG_WITNESS``) is appended to.
        """
        pipe = MemoryPipe.open(model_dir, nvm, stack)
        stack.push_async_callback(pipe.close)
        self = cls(pipe, witness)
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        stack.callback(server.close)
        stack.callback(self.drop_link)
        self.url = f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with self.connect() as device:
            self.device_id = (await device.hello()).device_id
        return self

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Device]:
        """Talk to it before its host does."""
        async with open_device(self.url, timeout_s=20.0) as device:
            yield device

    def advance(self, us: int) -> None:
        """Let its time go on."""
        self._pipe.advance(us)
        self._take_witness()

    def restart(self) -> None:
        """Power off and on, and the link with it."""
        self.drop_link()
        self._pipe.restart()
        self.restarts += 1
        self._take_witness()

    def drop_link(self) -> None:
        """Cut the connection of its host, if it has one."""
        if self._host is not None:
            self._host.transport.abort()
            self._host = None

    def _take_witness(self) -> None:
        if self._witness is not None:
            with self._witness.open("ab") as file:
                file.write(self._pipe.take_witness())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.drop_link()
        self._host = writer
        with contextlib.suppress(OSError, LinkTimeout):
            while data := await reader.read(_READ_BYTES):
                await self._pipe.write(data)
                self._take_witness()
                with contextlib.suppress(LinkTimeout):
                    writer.write(await self._pipe.read())
                await writer.drain()
        writer.close()


class SimulatedFleet:
    """Many of them, and the clock that they share.

    Attributes:
        boards: All of them.
    """

    def __init__(self, boards: tuple[SimulatedBoard, ...]) -> None:
        self.boards = boards

    @classmethod
    @asynccontextmanager
    async def start(cls, model_dir: Path, count: int, *, witness_dir: Path | None = None) -> AsyncIterator[SimulatedFleet]:
        """Power on ``count`` boards with identities of their own.

        Args:
            model_dir: Folder with the generated model, for the host.
            witness_dir: Folder that gets each board's trace as ``NUMBER.trace``, for a test build.
        """
        async with AsyncExitStack() as stack:
            traces = [None if witness_dir is None else witness_dir / f"{number}.trace" for number in range(count)]
            yield cls(tuple([await SimulatedBoard.open(model_dir, stack, witness=trace) for trace in traces]))

    async def sample(self, period_ms: int, count: int = 0) -> None:
        """Let each board's own sensor measure, with seeds of their own; ``count`` answers each, 0: without end."""
        for number, board in enumerate(self.boards):
            async with board.connect() as device:
                await device.sample(period_ms, seed=number, count=count)

    async def run(self) -> None:
        """Let their time go with ours, until cancelled. A step that comes late is longer: nothing is left out."""
        then_s = time.monotonic()
        while True:
            await asyncio.sleep(STEP_S)
            now_s = time.monotonic()
            us = round((now_s - then_s) * 1e6)
            then_s = now_s
            for board in self.boards:
                board.advance(us)
