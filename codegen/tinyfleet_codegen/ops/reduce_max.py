"""REDUCE_MAX: int8, over any constant axes, rank up to 4."""

from __future__ import annotations

import numpy as np

from tinyfleet_codegen.quant import Int64Array
from tinyfleet_codegen.reduction import ExtremeOp


class ReduceMax(ExtremeOp):
    """Input of rank <= 4, constant axes; the output, of the same scale, drops them or keeps them as 1."""

    name = "REDUCE_MAX"
    kernel = "tyf_reduce_max"
    rounding = "exact"

    def reduce(self, x: Int64Array, axes: tuple[int, ...]) -> Int64Array:
        return np.asarray(x.max(axis=axes))
