"""Inputs that host and device both make from a seed, so that a proof needs no transfer of tensors.

Word ``k`` of case ``case`` is ``mix(mix(seed + GOLDEN * (case + 1)) + k)`` modulo 2**32, stored little-endian. Case 0 is
all -128 and case 1 all 127, because saturation hides there. For float32 inputs each byte gives one value, int8 / 16.
Twin in C: ``firmware/lib/model/src/seeded.c``.
"""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

GOLDEN = 0x9E3779B9
HASH_BYTES = 8
"""Bytes of SHA-256 that stand for one tensor."""


def _mix(x: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """A 32-bit finalizer with full avalanche; bijective."""
    x = x ^ (x >> np.uint32(16))
    x = x * np.uint32(0x7FEB352D)
    x = x ^ (x >> np.uint32(15))
    x = x * np.uint32(0x846CA68B)
    return x ^ (x >> np.uint32(16))


def seeded_bytes(seed: int, case: int, count: int) -> npt.NDArray[np.int8]:
    """The ``count`` bytes of input number ``case``, as int8 ``[count]``."""
    if case == 0:
        return np.full(count, -128, np.int8)
    if case == 1:
        return np.full(count, 127, np.int8)
    with np.errstate(over="ignore"):
        base = _mix(np.array([(seed + GOLDEN * (case + 1)) & 0xFFFFFFFF], np.uint32))
        counters: npt.NDArray[np.uint32] = np.arange((count + 3) // 4, dtype=np.uint32)
        words = _mix(base + counters)
    return words.astype("<u4").view(np.int8)[:count]


def tensor_hash(data: bytes) -> bytes:
    """The first HASH_BYTES of SHA-256, as the device sends it."""
    return hashlib.sha256(data).digest()[:HASH_BYTES]
