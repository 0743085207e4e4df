"""How far what a node writes may lie over an input that nobody reads afterwards.

A kernel that goes through its input from front to back leaves bytes behind that it will not read again. If its output begins
``lead_bytes`` or more before its input, each byte is written only after it was last read, and one place serves both.
``tests/codegen/test_overlap.py`` records every load and store of the portable kernels and proves each lead.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tinyfleet_codegen.geometry import Axis

Int64Array = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Overlap:
    """Distances from the written memory's begin to the input's begin at which the two may share bytes.

    Attributes:
        lead_bytes: The written memory begins at least so many bytes before the input; None: that does not help.
        step_bytes: The distance, in either direction, is a multiple of this; None: that does not help. For kernels that take
            one channel of all pixels at a time, this is the size of a pixel.
    """

    lead_bytes: int | None = None
    step_bytes: int | None = None

    def allows(self, lead_bytes: int) -> bool:
        """Whether the written memory may begin ``lead_bytes`` before the input (negative: after its begin)."""
        return (self.lead_bytes is not None and lead_bytes >= self.lead_bytes) or (
            self.step_bytes is not None and lead_bytes % self.step_bytes == 0
        )


ANYWHERE = Overlap(step_bytes=1)
"""The whole input is read before the first byte is written."""


def forward_overlap(written: npt.ArrayLike, first_read: npt.ArrayLike) -> Overlap:
    """For reads in any order: before the last of each, how many bytes were ``written``, and the lowest byte it takes.

    Args:
        written, first_read: Byte counts ``[reads]``; one read may stand for many.
    """
    before, lowest = np.asarray(written, np.int64), np.asarray(first_read, np.int64)
    counts = before > 0
    return Overlap(lead_bytes=int((before - lowest)[counts].max())) if counts.any() else ANYWHERE


def elementwise_overlap(
    output_shape: tuple[int, ...], input_shape: tuple[int, ...], output_size: int = 1, input_size: int = 1
) -> Overlap | None:
    """An input that broadcasts to the output, which is written in order, each element after it was computed.

    Args:
        output_size, input_size: Bytes of one element. Of two sizes neither of which is 1, C lets a compiler believe that they
            never meet and swap loads and stores: None.
    """
    if output_size != input_size and 1 not in (output_size, input_size):
        return None
    elements = np.arange(int(np.prod(input_shape, dtype=np.int64))).reshape(input_shape)
    reads = np.broadcast_to(elements, output_shape).reshape(-1)
    return forward_overlap(np.arange(reads.size) * output_size, reads * input_size)


def window_overlap(
    rows: Axis, columns: Axis, input_c: int, output_c: int, *, held_bytes: int = 0, passed_bytes: int = 0, together: int = 1, batch: int = 1
) -> Overlap:
    """A kernel that makes pixel after pixel from windows of an int8 image.

    Args:
        input_c, output_c: Channels of a pixel.
        held_bytes: How much of a pixel's own output is written before its window is read for the last time.
        passed_bytes: How far beyond the window's first byte that last read begins.
        together: Pixels whose windows are all read before the first of them is written.
        batch: Images, one after the other.
    """
    y, row_counts = _first_taps(rows)
    x, column_counts = _first_taps(columns)
    image = np.arange(batch)[:, None, None]
    first_read = ((image * rows.input + y[None, :, None]) * columns.input + x[None, None, :]) * input_c + passed_bytes
    pixel = np.arange(batch * rows.output * columns.output).reshape(batch, rows.output, columns.output)
    written = pixel // together * together * output_c + held_bytes
    counts = np.broadcast_to(row_counts[None, :, None] & column_counts[None, None, :], pixel.shape)
    return forward_overlap(written[counts], first_read[counts])


def _first_taps(axis: Axis) -> tuple[Int64Array, npt.NDArray[np.bool_]]:
    """The first position inside the image that each window meets, and whether it meets any."""
    begin = np.arange(axis.output) * axis.stride - axis.pad
    skipped = -(np.minimum(begin, 0) // axis.dilation)
    first = begin + skipped * axis.dilation
    return first, (skipped < axis.kernel) & (first < axis.input)
