"""What a model in a shared library of the engine can do, whether compiled into it or opened from a blob."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cffi
import numpy as np
import numpy.typing as npt

from tinyfleet_codegen.placement import ALIGNMENT

Array = npt.NDArray[Any]


def aligned(count: int) -> npt.NDArray[np.uint8]:
    """Memory of ``count`` bytes that starts at a multiple of ALIGNMENT."""
    memory = np.zeros(count + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + count]


class Engine:
    """A loaded library. Arrays are taken as they lie in memory; the caller has checked their sizes.

    Args:
        library: Built by :mod:`tinyfleet.engine.host_build`.
        entry: Stem of the header that declares how this library's models are had.
    """

    def __init__(self, library: Path, entry: str) -> None:
        self._ffi = cffi.FFI()
        for header in ("engine", entry):
            self._ffi.cdef((Path(__file__).parent / f"{header}.h").read_text(encoding="utf-8"))
        self.lib: Any = self._ffi.dlopen(str(library))

    def pointer(self, array: Array, c_type: str = "uint8_t *") -> Any:
        """The first byte of an array, for a call that ends before the array does."""
        return self._ffi.cast(c_type, array.ctypes.data)

    def reset(self, model: Any, arena: Array) -> None:
        """Forget what earlier runs left in the arena."""
        self.lib.tyf_engine_reset(model, self.pointer(arena))

    def run(self, model: Any, arena: Array, inputs: Array, outputs: Array) -> None:
        """Run a batch, one inference after the other; other Python threads run meanwhile."""
        self.lib.tyf_engine_run(model, self.pointer(arena), self.pointer(inputs), self.pointer(outputs), len(inputs))

    def run_layers(self, model: Any, arena: Array, x: Array, sizes: list[int]) -> list[bytes]:
        """The bytes that each layer wrote, for one input."""
        packed = np.empty(sum(sizes), np.uint8)
        self.lib.tyf_engine_run_layers(model, self.pointer(arena), self.pointer(x), self.pointer(packed))
        ends = np.cumsum(sizes)
        return [packed[end - size : end].tobytes() for size, end in zip(sizes, ends, strict=True)]

    def model_id(self, model: Any) -> bytes:
        """The id that the model carries, 32 bytes."""
        return bytes(self._ffi.buffer(self.lib.tyf_engine_model_id(model), 32))
