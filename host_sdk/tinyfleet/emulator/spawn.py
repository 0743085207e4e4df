"""Start a program that dies when we do, whatever way we die."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import IO

_PR_SET_PDEATHSIG = 1


@cache
def _spawner(process_id: int) -> ThreadPoolExecutor:
    """One thread per process that does all spawning, for as long as the process lives.

    Linux sends the parent-death signal when the *thread* that started the child ends: a child started from a
    short-lived worker thread would be killed with it. Keyed by process id, because a fork does not copy threads.
    """
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"tinyfleet-spawn-{process_id}")


def spawn_tied(command: Sequence[str], *, env: dict[str, str], pass_fds: Sequence[int], output: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start ``command`` with stdout and stderr in ``output``; on Linux the kernel kills it when this process ends.

    It gets a session of its own, so that Ctrl-C reaches only us and we can stop it in order.
    """

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command,
            env=env,
            pass_fds=pass_fds,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=_die_with_parent() if sys.platform == "linux" else None,  # noqa: PLW1509  it makes two system calls, takes no lock
        )

    return _spawner(os.getpid()).submit(start).result()


def _die_with_parent() -> Callable[[], None]:
    # Looked up here, before the fork: the child of a threaded process must do as little as it can.
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def in_child() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    return in_child
