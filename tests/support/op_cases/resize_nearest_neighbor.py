"""RESIZE_NEAREST_NEIGHBOR cases."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.move_case import move_case
from tests.support.op_cases import OpCase
from tinyfleet_codegen.wire.ids import DType

OP = "RESIZE_NEAREST_NEIGHBOR"


def cases() -> Iterator[OpCase]:
    """All cases."""
    for corners, half in ((False, False), (True, False), (False, True)):
        options = {"alignCorners": corners, "halfPixelCenters": half}
        label = "corners" if corners else "half" if half else "plain"
        for size in ((8, 6), (7, 5), (4, 3), (2, 2), (1, 1), (13, 9)):
            name = f"resize_nearest_{label}_{size[0]}x{size[1]}"
            yield move_case(name, OP, (1, 4, 3, 5), (1, *size, 5), (list(size),), **options)
    yield move_case("resize_nearest_one_channel", OP, (1, 3, 3, 1), (1, 6, 6, 1), ([6, 6],), halfPixelCenters=True)
    yield move_case("resize_nearest_s16", OP, (1, 4, 3, 5), (1, 7, 5, 5), ([7, 5],), halfPixelCenters=True, dtype=DType.INT16)
