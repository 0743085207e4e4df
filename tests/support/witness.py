"""The trace of a board with ``TYF_CFG_WITNESS``: every record that it made, written before its ring had it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from tinyfleet.image import WITNESS_MARK

START = WITNESS_MARK + b" 1"
_LINE = re.compile(rb"([0-9a-f]{8}) ([0-9a-f]{8}) ([0-9a-f]{8})")


@dataclass(frozen=True, slots=True)
class Trace:
    """What one board made, over all of its boots.

    Attributes:
        records: (boot_id, seq) -> CRC-32 of the record's bytes.
        starts: How often it started.
        torn: Lines that a kill cut off; their records never existed.
        problems: What no correct board writes.
    """

    records: dict[tuple[int, int], int] = field(default_factory=dict)
    starts: int = 0
    torn: int = 0
    problems: list[str] = field(default_factory=list)

    def produced(self, boot_id: int) -> int:
        """Records of one boot."""
        return sum(1 for boot, _ in self.records if boot == boot_id)


def read_trace(path: Path) -> Trace:
    """Read a trace; also that of a running board."""
    return parse_trace(path.read_bytes())


def parse_trace(data: bytes) -> Trace:
    """See :class:`Trace`. Only the last line before a start, or at the end, may be torn."""
    trace = Trace()
    starts = 0
    following: dict[int, int] = {}
    lines = data.split(b"\n")
    last = lines.pop()
    for number, line in enumerate(lines):
        if line == START:
            starts += 1
        elif match := _LINE.fullmatch(line):
            boot_id, seq, crc = (int(text, 16) for text in match.groups())
            if (boot_id, seq) in trace.records:
                trace.problems.append(f"boot {boot_id} made record {seq} twice")
            if seq != following.get(boot_id, 0):
                trace.problems.append(f"boot {boot_id} made record {seq} after {following.get(boot_id, 0) - 1}")
            following[boot_id] = seq + 1
            trace.records[boot_id, seq] = crc
        elif line and not (number + 1 < len(lines) and lines[number + 1] == START and _could_begin(line)):
            trace.problems.append(f"line {number + 1} is {line[:40]!r}")
    if last and not _could_begin(last):
        trace.problems.append(f"the end is {last[:40]!r}")
    torn = sum(1 for n, line in enumerate(lines) if line and line != START and not _LINE.fullmatch(line)) + bool(last)
    return Trace(trace.records, starts, torn, trace.problems)


def _could_begin(text: bytes) -> bool:
    """Whether a line may begin so."""
    return START.startswith(text) or bool(_LINE.fullmatch(text + b"00000000 00000000 00000000"[len(text) :]))
