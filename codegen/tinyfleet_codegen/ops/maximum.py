"""MAXIMUM: int8 or int16, broadcast, rank up to 4."""

from __future__ import annotations

import numpy as np

from tinyfleet_codegen.elementwise import ExtremeOp


class Maximum(ExtremeOp):
    """Inputs that broadcast to the output's shape; either may be a constant; all of one scale and zero point."""

    name = "MAXIMUM"
    kernel = "tyf_maximum"
    choose = np.maximum
