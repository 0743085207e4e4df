"""Run a function over many items in a process of its own, so that one item may crash it, hang it or eat its memory and is only named."""

from __future__ import annotations

import multiprocessing
import resource
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T, R]):
    """What became of one item: its result, or in ``problem`` why there is none."""

    item: T
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
            reply = (None, f"{type(error).__name__}: {error}")
        pipe.send(reply)


def run_isolated(
    work: Callable[[T], R], items: Iterable[T], *, timeout_s: float, memory_bytes: int | None = None
) -> Iterator[Outcome[T, R]]:
    """Yield the outcome of each item, in order.

    Args:
        work: Called in the other process; its exceptions become problems.
        items: What it is called with, one after the other.
        timeout_s: For one item; the process is killed then and started anew.
        memory_bytes: Address space that it may take beyond what it has at its start; None: no limit.
    """
    context = multiprocessing.get_context("fork")
    process = None
    pipe: Connection | None = None
    try:
        for item in items:
            if process is None or pipe is None:
                pipe, theirs = context.Pipe()
                process = context.Process(target=_serve, args=(theirs, work, memory_bytes), daemon=True)
                process.start()
                theirs.close()
            pipe.send((item,))
            try:
                if pipe.poll(timeout_s):
                    result, problem = pipe.recv()
                    yield Outcome(item, result, problem)
                    continue
                problem = f"no answer within {timeout_s} s"
            except EOFError:
                process.join()
                problem = f"the process ended with {process.exitcode}"
            process.kill()
            process.join()
            pipe.close()
            process = pipe = None
            yield Outcome(item, None, problem)
        if pipe is not None:
            pipe.send(None)
    finally:
        if process is not None:
            process.join(timeout_s)
            process.kill()
            process.join()
        if pipe is not None:
            pipe.close()
