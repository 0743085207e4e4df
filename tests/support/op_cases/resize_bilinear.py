"""RESIZE_BILINEAR cases."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.move_case import move_case
from tests.support.op_cases import OpCase

OP = "RESIZE_BILINEAR"


def cases() -> Iterator[OpCase]:
    """All cases."""
    for corners, half in ((False, False), (True, False), (False, True)):
        options = {"alignCorners": corners, "halfPixelCenters": half}
        label = "corners" if corners else "half" if half else "plain"
        for size in ((8, 6), (7, 5), (4, 3), (2, 2), (1, 1), (13, 9), (33, 3)):
            name = f"resize_bilinear_{label}_{size[0]}x{size[1]}"
            yield move_case(name, OP, (1, 4, 3, 5), (1, *size, 5), (list(size),), **options)
    yield move_case("resize_bilinear_one_pixel", OP, (1, 1, 1, 3), (1, 4, 4, 3), ([4, 4],), halfPixelCenters=True)
