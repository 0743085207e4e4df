"""A small disk that can be filled: a tmpfs where this process may mount one."""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path

_FILLER = "filler"
_BLOCK = bytes(2**16)


class SmallDisk:
    """A folder with a bound on what it holds.

    Args:
        folder: The mount point; made.
        megabytes: Its size.

    Attributes:
        is_bounded: Whether it could be mounted; else it is a plain folder that never fills.
    """

    def __init__(self, folder: Path, megabytes: int) -> None:
        self.folder = folder
        folder.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=700", "tmpfs", str(folder)]
        self.is_bounded = subprocess.run(mount, capture_output=True, check=False).returncode == 0

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


def find_faketime() -> Path | None:
    """The library that gives a process another clock; None: not installed."""
    for pattern in ("usr/lib/*/faketime/libfaketimeMT.so.1", "usr/lib/faketime/libfaketimeMT.so.1"):
        tools = os.environ.get("TINYFLEET_TOOLS")
        for root in (Path("/"), *([Path(tools) / "tree", Path(tools)] if tools else [])):
            for found in sorted(root.glob(pattern)):
                return found
    return None
