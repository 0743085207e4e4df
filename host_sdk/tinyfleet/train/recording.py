"""Labelled recordings, and the windows that training and device cut out of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tinyfleet_codegen.package import FrontEnd


@dataclass(frozen=True, slots=True)
class Recording:
    """One uninterrupted recording of one person.

    Attributes:
        stream: Number of the recording, >= 1 (0 is a board's own sensor); windows never span two streams.
        subject: Who was recorded.
        label: Index of the class, for the whole recording.
        samples: int16 ``[n, channels]``, in the sensor's raw units.
    """

    stream: int
    subject: str
    label: int
    samples: npt.NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class WindowSet:
    """Windows of several recordings, in order; all arrays have one row per window.

    Attributes:
        x: int8 ``[n, window_samples, channels]``, the model's quantized input.
        label: int64 ``[n]``.
        stream: int64 ``[n]``.
        sample_index: int64 ``[n]``, first sample of the window within its stream.
    """

    x: npt.NDArray[np.int8]
    label: npt.NDArray[np.int64]
    stream: npt.NDArray[np.int64]
    sample_index: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.x)


def of_subjects(recordings: Iterable[Recording], subjects: Iterable[str]) -> tuple[Recording, ...]:
    """The recordings of these people, in their order."""
    wanted = set(subjects)
    return tuple(r for r in recordings if r.subject in wanted)


def cut_windows(recordings: Iterable[Recording], frontend: FrontEnd, input_scale: float, zero_point: int) -> WindowSet:
    """Every window of every recording, through the integer front end that also runs on the board."""
    x: list[npt.NDArray[np.int8]] = [np.empty((0, frontend.window_samples, frontend.channels), np.int8)]
    rows: list[tuple[int, int, int]] = []
    for recording in recordings:
        x.append(frontend.apply(recording.samples, input_scale, zero_point))
        rows += [(recording.label, recording.stream, start) for start in frontend.window_starts(len(recording.samples))]
    label, stream, start = np.array(rows, np.int64).reshape(-1, 3).T
    return WindowSet(np.concatenate(x), label, stream, start)
