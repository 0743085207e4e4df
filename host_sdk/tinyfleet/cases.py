"""The numbered inputs of a proof: made from a seed on both sides of a link, or given."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tinyfleet_codegen.compiled import CompiledModel
from tinyfleet_codegen.errors import ShapeError
from tinyfleet_codegen.ir import NUMPY_DTYPES
from tinyfleet_codegen.wire.ids import DType
from tinyfleet_codegen.wire.seeded import seeded_bytes

Array = npt.NDArray[Any]


class Cases:
    """The inputs of a run, by number: made from a seed, or given."""

    def __init__(self, model: CompiledModel, seed: int, given: Array | None = None) -> None:
        self.seed = seed
        self.is_seeded = given is None
        self._given = given
        self._input = model.input
        if given is not None and (given.shape[1:] != model.input.shape[1:] or given.dtype != NUMPY_DTYPES[model.input.dtype]):
            raise ShapeError(
                f"the inputs are {given.dtype} {list(given.shape)}, the model takes "
                f"{np.dtype(NUMPY_DTYPES[model.input.dtype])} [n, {', '.join(map(str, model.input.shape[1:]))}]"
            )

    def input(self, case: int) -> Array:
        """Input number ``case``, ``[1, ...]``."""
        if self._given is not None:
            return self._given[case : case + 1]
        elements = int(np.prod(self._input.shape))
        if self._input.dtype is DType.FLOAT32:
            return (seeded_bytes(self.seed, case, elements).astype(np.float32) / np.float32(16.0)).reshape(self._input.shape)
        dtype = np.dtype(NUMPY_DTYPES[self._input.dtype])
        return seeded_bytes(self.seed, case, elements * dtype.itemsize).view(dtype).reshape(self._input.shape)

    def inputs(self, first: int, count: int) -> Array:
        """Inputs ``[count, ...]`` from ``first`` on."""
        return np.concatenate([self.input(case) for case in range(first, first + count)])
