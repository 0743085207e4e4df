"""Windows: what the answers of a device's records were made from, fetched from it piece by piece.

::

    fetch = WindowFetch(boot_id, seq)
    while not fetch.is_complete:
        fetch.take(await device.window_piece(boot_id, seq, fetch.next_off))   # one request: others may come in between
    samples = fetch.window().array()
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyfleet_codegen.errors import ProtocolError
from tinyfleet_codegen.ir import NUMPY_DTYPES
from tinyfleet_codegen.wire.ids import DType

MOST_BYTES = 2**20
"""No window is larger; see ``TYF_CFG_WINDOW_BYTES``."""


@dataclass(frozen=True, slots=True)
class WindowPiece:
    """A part of a window, as a device sends it.

    Attributes:
        total: Bytes of the whole window.
        channels: Values of one sample; 0: not known.
        needs_state: The model remembers inputs: this one alone does not give the record again.
    """

    off: int
    data: bytes
    total: int
    dtype: DType
    channels: int
    needs_state: bool


@dataclass(frozen=True, slots=True)
class Window:
    """What the answer of one record was made from: raw samples (int16), or the model's input where there is no front end."""

    boot_id: int
    seq: int
    dtype: DType
    channels: int
    needs_state: bool
    data: bytes

    def array(self) -> npt.NDArray[Any]:
        """``[samples, channels]``, or ``[values]`` where the device does not know the channels."""
        values = np.frombuffer(self.data, np.dtype(NUMPY_DTYPES[self.dtype]).newbyteorder("<"))
        return values.reshape(-1, self.channels) if self.channels else values


class WindowFetch:
    """Puts the pieces of one window together.

    Attributes:
        next_off: Where the next piece begins.
        total: Bytes of the whole window; None before the first piece.
    """

    def __init__(self, boot_id: int, seq: int) -> None:
        self.boot_id = boot_id
        self.seq = seq
        self.next_off = 0
        self.total: int | None = None
        self._pieces: list[WindowPiece] = []

    @property
    def is_complete(self) -> bool:
        """Whether all pieces are here."""
        return self.total is not None and self.next_off == self.total

    def take(self, piece: WindowPiece) -> None:
        """Add the piece at :attr:`next_off`.

        Raises:
            ProtocolError: it is no piece of the same window, or there is nothing in it.
        """
        first = self._pieces[0] if self._pieces else piece
        expected = (self.next_off, first.total, first.dtype, first.channels, first.needs_state)
        named = f"window of record {self.boot_id}/{self.seq}"
        if (piece.off, piece.total, piece.dtype, piece.channels, piece.needs_state) != expected:
            raise ProtocolError(f"{named}: the piece from byte {piece.off} is of another window than the one before")
        end = piece.off + len(piece.data)
        row_bytes = np.dtype(NUMPY_DTYPES[piece.dtype]).itemsize * max(1, piece.channels)
        if not piece.data or end > piece.total or piece.total > MOST_BYTES or piece.total % row_bytes:
            raise ProtocolError(f"{named}: {len(piece.data)} bytes from {piece.off} of {piece.total}, {row_bytes} a sample, make no sense")
        self._pieces.append(piece)
        self.next_off, self.total = end, piece.total

    def window(self) -> Window:
        """The whole, once it is complete."""
        assert self.is_complete
        first = self._pieces[0]
        data = b"".join(piece.data for piece in self._pieces)
        return Window(self.boot_id, self.seq, first.dtype, first.channels, first.needs_state, data)
