"""An emulated board of the campaign: it makes records by itself, says so to the witness, and is killed."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from tests.campaigns.chaos_lines import BoardLine
from tests.support.witness import Trace, read_trace
from tinyfleet.device import open_device
from tinyfleet.emulator import EmulatedBoard
from tinyfleet_codegen.errors import TinyfleetError

BOARD = "mps2_an386"
_TIMEOUT_S = 20.0


class ChaosBoard:
    """One NVM file and one trace over many starts.

    Args:
        number: Of it; also its seed.
        elf: A test build with a witness.
        folder: For its files.
        period_ms: Between two records.
    """

    def __init__(self, number: int, elf: Path, folder: Path, *, period_ms: int) -> None:
        self.line = BoardLine()
        self.kills = 0
        self._number = number
        self._elf = elf
        self._nvm = folder / f"board{number}.nvm"
        self._trace = folder / f"board{number}.trace"
        self._period_ms = period_ms
        self._board: EmulatedBoard | None = None

    @property
    def device_id(self) -> bytes:
        """Its identity."""
        assert self._board is not None
        return self._board.device_id

    @property
    def is_running(self) -> bool:
        """Whether it makes records."""
        return self._board is not None and self._board.is_running()

    async def start(self) -> None:
        """Power on, let it measure, then give the line to the gateway."""
        self._board = await asyncio.to_thread(EmulatedBoard.start, BOARD, self._elf, self._nvm, witness=self._trace, timeout_s=60.0)
        await self._ask(self._period_ms)
        self.line.lead_to(self._port)

    async def kill(self) -> None:
        """A power cut."""
        assert self._board is not None
        self.line.lead_to(None)
        await asyncio.to_thread(self._board.kill)
        self.kills += 1

    async def rest(self) -> None:
        """Stop measuring, so that all can be delivered; the line is cut once for that.

        It makes one more record first: a boot without any tells nobody that the one before has ended.
        """
        made = len(self.trace().records)
        async with asyncio.timeout(_TIMEOUT_S):
            while len(self.trace().records) == made:  # noqa: ASYNC110 - the file is the only sign
                await asyncio.sleep(0.1)
        self.line.lead_to(None)
        await self._ask(0)
        self.line.lead_to(self._port)

    async def wake(self) -> None:
        """Measure again."""
        self.line.lead_to(None)
        await self._ask(self._period_ms)
        self.line.lead_to(self._port)

    async def _ask(self, period_ms: int) -> None:
        """Set the period; its port takes one host, and may still be held by one that is going."""
        assert self._board is not None
        async with asyncio.timeout(4 * _TIMEOUT_S):
            while True:
                with contextlib.suppress(TinyfleetError):
                    async with open_device(self._board.url, timeout_s=5.0) as device:
                        await device.sample(period_ms, seed=self._number)
                        return
                await asyncio.sleep(0.1)

    @property
    def _port(self) -> int:
        assert self._board is not None
        return int(self._board.url.rpartition(":")[2])

    def trace(self) -> Trace:
        """What it made so far."""
        return read_trace(self._trace)

    async def close(self) -> None:
        """End it."""
        await self.line.close()
        if self._board is not None:
            await asyncio.to_thread(self._board.stop)
