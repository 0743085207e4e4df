"""What a link stands on: bytes in, bytes out."""

from __future__ import annotations

from typing import Protocol


class BytePipe(Protocol):
    """An open, reliable byte stream to one board."""

    async def write(self, data: bytes) -> None:
        """Send all of ``data``.

        Raises:
            LinkClosed: the other end is gone.
        """

    async def read(self) -> bytes:
        """Wait for bytes and return those that are there, at least one.

        Raises:
            LinkClosed: the other end is gone.
        """

    async def close(self) -> None:
        """Give the stream up; may be called twice."""
