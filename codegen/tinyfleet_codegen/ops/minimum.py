"""MINIMUM: int8 or int16, broadcast, rank up to 4."""

from __future__ import annotations

import numpy as np

from tinyfleet_codegen.elementwise import ExtremeOp


class Minimum(ExtremeOp):
    """Inputs that broadcast to the output's shape; either may be a constant; all of one scale and zero point."""

    name = "MINIMUM"
    kernel = "tyf_minimum"
    choose = np.minimum
