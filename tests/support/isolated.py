"""A function in a process of its own, where one argument may crash it, hang it or eat its memory and is only named."""

from __future__ import annotations

import multiprocessing
import resource
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import ForkProcess
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Outcome(Generic[R]):
    """What became of one call: its result, or in ``problem`` why there is none."""

    result: R | None
    problem: str | None


def _serve(pipe: Connection, work: Callable[[Any], Any], memory_bytes: int | None) -> None:
    if memory_bytes is not None:
        in_use = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (in_use + memory_bytes,) * 2)
    while (message := pipe.recv()) is not None:
        reply: tuple[Any, str | None]
        try:
            reply = (work(message[0]), None)
        except Exception as error:  # the process's outermost loop; what it is gets reported
            where = traceback.extract_tb(error.__traceback__)[-1]
            reply = (None, f"{type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})")
        pipe.send(reply)


class Isolated(Generic[T, R]):
    """Calls ``work`` in another process, which is started anew when it ends.

    Args:
        work: Its exceptions become problems.
        timeout_s: For one call; the process is killed then.
        memory_bytes: Address space that it may take beyond what it has at its start; None: no limit.
    """

    def __init__(self, work: Callable[[T], R], *, timeout_s: float, memory_bytes: int | None = None) -> None:
        self._work, self._timeout_s, self._memory_bytes = work, timeout_s, memory_bytes
        self._running: tuple[ForkProcess, Connection] | None = None

    def __enter__(self) -> Isolated[T, R]:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._end()

    def _start(self) -> tuple[ForkProcess, Connection]:
        context = multiprocessing.get_context("fork")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, self._work, self._memory_bytes), daemon=True)
        process.start()
        theirs.close()
        return process, ours

    def _end(self) -> int | None:
        """Kill the process; its exit code, if it had ended before."""
        if self._running is None:
            return None
        process, pipe = self._running
        process.kill()
        process.join()
        pipe.close()
        self._running = None
        return process.exitcode

    def call(self, argument: T) -> Outcome[R]:
        """Call it once."""
        if self._running is None:
            self._running = self._start()
        process, pipe = self._running
        try:
            pipe.send((argument,))
            if pipe.poll(self._timeout_s):
                return Outcome(*pipe.recv())
            self._end()
            return Outcome(None, f"no answer within {self._timeout_s} s")
        except (EOFError, OSError):
            process.join(self._timeout_s)
            return Outcome(None, f"the process ended with {self._end()}")
