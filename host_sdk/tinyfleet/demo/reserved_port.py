"""A port of this machine for a server that comes, goes and comes back: nobody else gets it meanwhile.

::

    with ReservedPort() as port:
        ...  # start a server on 127.0.0.1 port.number; stop it; start it again

The kernel gives a free port to whoever asks for any, and to each outgoing connection; so a port that was chosen and let go, or whose
server is restarted, may be somebody else's a moment later.
"""

from __future__ import annotations

import socket
import sys
from types import TracebackType
from typing import Self


class ReservedPort:
    """One TCP port of 127.0.0.1, ours until it is closed; while nobody listens, connections to it are refused.

    Args:
        number: Which one; 0: any.

    Attributes:
        number: The port.

    Raises:
        OSError: somebody listens on it.
    """

    def __init__(self, number: int = 0) -> None:
        # Bound and never listening: a server that may reuse addresses (each does) can still be started on it by its number.
        self._holder = socket.socket()
        self._holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._holder.bind(("127.0.0.1", number))
        except OSError:
            self._holder.close()
            raise
        self.number = int(self._holder.getsockname()[1])
        if sys.platform != "linux":
            self._holder.close()  # there, the server could not be started either

    def close(self) -> None:
        """Let it go."""
        self._holder.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
