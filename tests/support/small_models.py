"""Models of a few kilobytes with something to compute, and packages of them."""

from __future__ import annotations

import numpy as np

from tests.support.tflite_builder import TfliteBuilder
from tinyfleet_codegen.package import FrontEnd, ModelPackage
from tinyfleet_codegen.wire.ids import DType

CHANNELS, WINDOW_SAMPLES, HOP_SAMPLES = 3, 8, 4
INPUTS = CHANNELS * WINDOW_SAMPLES
FRONTEND = FrontEnd(WINDOW_SAMPLES, HOP_SAMPLES, 50.0, (0, 0, 0), (0.01, 0.01, 0.01))


def dense_package(name: str, seed: int, *, outputs: int = 5, hidden: int = 16, head_seed: int | None = None) -> ModelPackage:
    """Windows of 8 samples of 3 channels through two dense layers; ``head_seed`` changes the second alone."""
    builder = TfliteBuilder()
    window = builder.tensor((1, WINDOW_SAMPLES, CHANNELS), scale=0.05, zero_point=5)
    flat = builder.tensor((1, INPUTS), scale=0.05, zero_point=5)
    builder.op("RESHAPE", [window], [flat])
    x, depth = flat, INPUTS
    scale = 0.05
    for units, layer_seed in ((hidden, seed), (outputs, seed if head_seed is None else head_seed)):
        rng = np.random.default_rng([layer_seed, units])
        weights = builder.tensor((units, depth), scale=0.01, data=rng.integers(-127, 128, (units, depth)))
        bias = builder.tensor((units,), DType.INT32, scale=scale * 0.01, data=rng.integers(-900, 900, units))
        y = builder.tensor((1, units), scale=0.1, zero_point=3)
        builder.op("FULLY_CONNECTED", [x, weights, bias], [y], fusedActivationFunction=0)
        x, depth, scale = y, units, 0.1
    return ModelPackage(name, builder.build([window], [x]), FRONTEND, tuple(f"class {i}" for i in range(outputs)))
