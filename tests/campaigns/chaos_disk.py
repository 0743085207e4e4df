"""A small disk that can be filled, where this process may mount one: a tmpfs, or an ext4, on which fsync means something."""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path

_FILLER = "filler"
_BLOCK = bytes(2**16)
KINDS = ("tmpfs", "ext4")


class SmallDisk:
    """A folder with a bound on what it holds.

    Args:
        folder: The mount point; made.
        megabytes: Its size.
        kind: One of :data:`KINDS`; ext4 lies in a file beside the folder.

    Attributes:
        is_bounded: Whether it could be mounted; else it is a plain folder that never fills.
    """

    def __init__(self, folder: Path, megabytes: int, kind: str = "tmpfs") -> None:
        self.folder = folder
        self.kind = kind
        self._image = folder.with_suffix(".img")
        folder.mkdir()
        if kind == "ext4":
            with self._image.open("wb") as image:
                image.truncate(megabytes * 2**20)
            made = _works(["mkfs.ext4", "-q", "-m", "0", str(self._image)])
            self.is_bounded = made and _works(["mount", "-o", "loop", str(self._image), str(folder)])
        else:
            self.is_bounded = _works(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=700", "tmpfs", str(folder)])

    def fill(self) -> None:
        """Take all room that is left."""
        with contextlib.suppress(OSError), (self.folder / _FILLER).open("ab", buffering=0) as file:
            while file.write(_BLOCK):
                pass
        # The last page as well.
        with contextlib.suppress(OSError), (self.folder / _FILLER).open("ab", buffering=0) as file:
            while file.write(b"\0"):
                pass

    def free(self) -> None:
        """Give the room back."""
        (self.folder / _FILLER).unlink(missing_ok=True)

    def close(self) -> None:
        """Unmount it; what it held is gone."""
        if self.is_bounded:
            subprocess.run(["umount", "-l", str(self.folder)], capture_output=True, check=False)
            self.is_bounded = False
        self._image.unlink(missing_ok=True)


def _works(command: list[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def find_faketime() -> Path | None:
    """The library that gives a process another clock; None: not installed."""
    for pattern in ("usr/lib/*/faketime/libfaketimeMT.so.1", "usr/lib/faketime/libfaketimeMT.so.1"):
        tools = os.environ.get("TINYFLEET_TOOLS")
        for root in (Path("/"), *([Path(tools) / "tree", Path(tools)] if tools else [])):
            for found in sorted(root.glob(pattern)):
                return found
    return None
