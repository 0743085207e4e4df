"""Where windows of convolutions and pools lie: output sizes, padding, activation ranges. Follows the .tflite schema."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from tinyfleet_codegen.errors import QuantError, ShapeError, UnsupportedOp
from tinyfleet_codegen.ir import NUMPY_DTYPES, Node, Tensor
from tinyfleet_codegen.quant import INT32_MAX, round_half_away

Float64Array = npt.NDArray[np.float64]


class Padding(IntEnum):
    """Padding of the schema."""

    SAME = 0
    VALID = 1


class Activation(IntEnum):
    """Fused activation functions of the schema that have an integer range."""

    NONE = 0
    RELU = 1
    RELU_N1_TO_1 = 2
    RELU6 = 3


def read_activation(code: int, what: str) -> Activation:
    """The fused activation, or UnsupportedOp for one that is not a clamp."""
    try:
        return Activation(code)
    except ValueError:
        raise UnsupportedOp(f"{what}: fused activation {code} is not supported, supported are none, RELU, RELU_N1_TO_1 and RELU6") from None


def read_padding(code: int, what: str) -> Padding:
    """The padding, or UnsupportedOp."""
    try:
        return Padding(code)
    except ValueError:
        raise UnsupportedOp(f"{what}: padding {code} is neither SAME (0) nor VALID (1)") from None


@dataclass(frozen=True, slots=True)
class Axis:
    """Window positions along one axis: output ``o`` reads ``o * stride - pad + k * dilation`` for k in [0, kernel)."""

    input: int
    output: int
    kernel: int
    stride: int
    dilation: int
    pad: int


def window_axis(node: Node, size: int, *, kernel: int, stride: int, dilation: int, padding: Padding) -> Axis:
    """Geometry along one axis.

    Raises:
        ShapeError: a size, stride or dilation is not positive, or the window does not fit.
    """
    if min(size, kernel, stride, dilation) < 1 or max(size, kernel, stride, dilation) > 65535:
        raise ShapeError(f"{node.label}: size {size}, kernel {kernel}, stride {stride}, dilation {dilation} must be in 1..65535")
    extent = (kernel - 1) * dilation + 1
    output = -(-size // stride) if padding is Padding.SAME else (size - extent) // stride + 1
    if output < 1:
        raise ShapeError(f"{node.label}: a window of {extent} does not fit into {size}")
    pad = max(0, (output - 1) * stride + extent - size) // 2
    return Axis(size, output, kernel, stride, dilation, pad)


def activation_range(activation: Activation, tensor: Tensor) -> tuple[int, int]:
    """Clamp range of a quantized output, as TensorFlow Lite computes it.

    Raises:
        QuantError: the scale is so small that the bounds leave int32.
    """
    limits = np.iinfo(NUMPY_DTYPES[tensor.dtype])
    real_low, real_high = {
        Activation.NONE: (None, None),
        Activation.RELU: (0.0, None),
        Activation.RELU_N1_TO_1: (-1.0, 1.0),
        Activation.RELU6: (0.0, 6.0),
    }[activation]
    low = int(limits.min) if real_low is None else max(int(limits.min), _quantize(real_low, tensor))
    high = int(limits.max) if real_high is None else min(int(limits.max), _quantize(real_high, tensor))
    return low, high


def _quantize(real: float, tensor: Tensor) -> int:
    with np.errstate(over="ignore"):
        steps = float(np.float32(real) / np.float32(tensor.scale))
    if abs(steps) > INT32_MAX:
        raise QuantError(f"tensor '{tensor.name}': its scale {tensor.scale} is too small for a fused activation up to {real}")
    return tensor.zero_point + round_half_away(steps)


def pad_for_windows(x: Float64Array, rows: Axis, columns: Axis) -> Float64Array:
    """Zeros around ``[h, w, c]`` so that every window lies inside."""

    def after(axis: Axis) -> int:
        return max(0, (axis.output - 1) * axis.stride + (axis.kernel - 1) * axis.dilation + 1 - axis.pad - axis.input)

    return np.pad(x, ((rows.pad, after(rows)), (columns.pad, after(columns)), (0, 0)))


def window_fields(rows: Axis, columns: Axis) -> dict[str, int]:
    """The members of a kernel's parameters that describe windows, with ``tyf_window`` names."""
    return {
        "window.input_h": rows.input,
        "window.input_w": columns.input,
        "window.output_h": rows.output,
        "window.output_w": columns.output,
        "window.kernel_h": rows.kernel,
        "window.kernel_w": columns.kernel,
        "window.stride_h": rows.stride,
        "window.stride_w": columns.stride,
        "window.dilation_h": rows.dilation,
        "window.dilation_w": columns.dilation,
        "window.pad_h": rows.pad,
        "window.pad_w": columns.pad,
    }
