"""What convolutions and FULLY_CONNECTED share: constant weights, bias and one multiplier a channel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinyfleet_codegen.errors import QuantError, ShapeError
from tinyfleet_codegen.ir import NUMPY_DTYPES, Graph, Node, Tensor
from tinyfleet_codegen.op import (
    Array,
    CallPrinter,
    data_of,
    kernel_type,
    require_activations,
    require_constant,
    require_dtype,
)
from tinyfleet_codegen.quant import INT32_MAX, Int64Array, quantize_multiplier, reduce_multiplier, requantize, requantize_wide
from tinyfleet_codegen.wire.ids import DType

INT32_BIASES = ("CONV_2D", "FULLY_CONNECTED")
"""Ops that the oracle has with int16 activations and int32 biases; others read beyond such a bias."""
_INT64_BIASES = "convert the model with int64 biases, the converter's default beside int16 activations"

WIDE_LIMIT = 1 << 47
"""Sums that the oracle scales in int64 stay below."""
MAX_WIDE_SHIFT = 7


@dataclass(frozen=True, slots=True)
class Requantization:
    """One multiplier and shift per output channel, from sums to outputs: as of ``requantize``, or of ``requantize_wide``."""

    multipliers: tuple[int, ...]
    shifts: tuple[int, ...]
    is_wide: bool
    output: DType

    def apply(self, acc: Int64Array, zero_point: int, low: int, high: int) -> Array:
        """Sums ``[..., channels]`` to clamped outputs. Those that are not wide wrap to int32."""
        scale = requantize_wide if self.is_wide else requantize
        scaled = scale(acc, np.array(self.multipliers), np.array(self.shifts)) + zero_point
        result: Array = np.clip(scaled, low, high).astype(NUMPY_DTYPES[self.output])
        return result


def has_wide_sums(graph: Graph, node: Node) -> bool:
    """Whether sums are int64 and scaled with one rounding: those of int16, without an int32 bias."""
    bias = bias_tensor(graph, node)
    return graph.input_tensor(node, 0).dtype is DType.INT16 and (bias is None or bias.dtype is not DType.INT32)


def check_weighted(graph: Graph, node: Node, channel_axis: int) -> None:
    """Check types, constants and scales of a node with (input, weights, bias or none).

    Args:
        channel_axis: Axis of the weights that holds output channels.
    """
    source, weights, output = graph.input_tensor(node, 0), graph.input_tensor(node, 1), graph.output_tensor(node)
    require_activations(node, ("input", source), ("output", output))
    require_dtype(node, "weights", weights, DType.INT8)
    require_constant(node, "weights", weights)
    if weights.quant is None or any(weights.quant.zero_points):
        raise QuantError(f"{node.label}: weights '{weights.name}' must be quantized with zero point 0")
    if len(weights.quant.scales) > 1 and weights.quant.axis != channel_axis:
        raise QuantError(f"{node.label}: weights '{weights.name}' have scales along axis {weights.quant.axis}, expected {channel_axis}")
    bias = bias_tensor(graph, node)
    if bias is not None:
        if source.dtype is DType.INT8:
            require_dtype(node, "bias", bias, DType.INT32)
        else:
            allowed = (DType.INT64, DType.INT32) if node.op.name in INT32_BIASES else (DType.INT64,)
            require_dtype(node, "bias", bias, *allowed, hint=_INT64_BIASES)
        require_constant(node, "bias", bias)
        if bias.elements != weights.shape[channel_axis]:
            raise ShapeError(f"{node.label}: bias '{bias.name}' has {bias.elements} values for {weights.shape[channel_axis]} channels")
        _check_bias_scale(graph, node, bias)
    _check_sums_fit(graph, node, channel_axis)
    requantization(graph, node)


def _check_bias_scale(graph: Graph, node: Node, bias: Tensor) -> None:
    """A bias is added to sums as it stands, so its scale must be theirs (the oracle allows 2 % of an output step)."""
    weights = graph.input_tensor(node, 1)
    if bias.quant is None or weights.quant is None or len(bias.quant.scales) not in (1, len(weights.quant.scales)):
        return
    of_sums = graph.input_tensor(node, 0).scale * np.array(weights.quant.scales)
    apart = np.abs(of_sums - np.array(bias.quant.scales)) / graph.output_tensor(node).scale
    if apart.max() > 0.02:
        channel = int(apart.argmax())
        raise QuantError(f"{node.label}: the scale of bias '{bias.name}' is not that of its sums, {of_sums[channel]} in channel {channel}")


def largest_sums(graph: Graph, node: Node, channel_axis: int) -> Int64Array:
    """A bound of each channel's sums over all inputs: ``|bias| + 255 * sum |weights|``, int64 ``[channels]``; 2**15 for int16."""
    largest = 255 if graph.input_tensor(node, 0).dtype is DType.INT8 else 1 << 15
    weights = data_of(graph.input_tensor(node, 1)).astype(np.int64)
    others = tuple(a for a in range(weights.ndim) if a != channel_axis)
    bound: Int64Array = np.abs(weights).sum(axis=others) * largest + np.abs(bias_values(graph, node, weights.shape[channel_axis]))
    return bound


def _check_sums_fit(graph: Graph, node: Node, channel_axis: int) -> None:
    """No sum of products with any input may leave int32, or what the oracle scales in int64: the kernels do not check.

    Int32 sums of int16 wrap around, in the oracle and in the kernels.
    """
    is_wide = has_wide_sums(graph, node)
    if not is_wide and graph.input_tensor(node, 0).dtype is DType.INT16:
        return
    worst = largest_sums(graph, node, channel_axis)
    if worst.size and worst.max() > (WIDE_LIMIT - 1 if is_wide else INT32_MAX):
        channel, width = int(worst.argmax()), "48 bits" if is_wide else "int32"
        raise QuantError(f"{node.label}: sums of channel {channel} may reach {int(worst.max())}, which does not fit into {width}")


def bias_tensor(graph: Graph, node: Node) -> Tensor | None:
    """The optional third input."""
    tensor_id = node.inputs[2] if len(node.inputs) > 2 else None
    return None if tensor_id is None else graph.tensors[tensor_id]


def bias_values(graph: Graph, node: Node, channels: int) -> Int64Array:
    """The bias as int64 ``[channels]``; zeros when the node has none."""
    bias = bias_tensor(graph, node)
    return np.zeros(channels, np.int64) if bias is None else data_of(bias).astype(np.int64).reshape(-1)


def requantization(graph: Graph, node: Node) -> Requantization:
    """Multipliers ``s_input * s_weight[c] / s_output``, in double precision like the oracle."""
    source, weights, output = graph.input_tensor(node, 0), graph.input_tensor(node, 1), graph.output_tensor(node)
    assert weights.quant is not None
    pairs = [quantize_multiplier(source.scale * s / output.scale) for s in weights.quant.scales]
    is_wide = has_wide_sums(graph, node)
    if is_wide:
        pairs = [wide_multiplier(node, *pair) for pair in pairs]
    return Requantization(tuple(m for m, _ in pairs), tuple(s for _, s in pairs), is_wide, output.dtype)


def wide_multiplier(node: Node, multiplier: int, shift: int) -> tuple[int, int]:
    """As ``requantize_wide`` takes it.

    Raises:
        QuantError: the scale is larger than the oracle allows.
    """
    if shift > MAX_WIDE_SHIFT:
        raise QuantError(
            f"{node.label}: the scale of its sums needs a left shift of {shift}, at most {MAX_WIDE_SHIFT} are possible in int16"
        )
    return reduce_multiplier(multiplier, shift)


def emit_weighted(graph: Graph, node: Node, printer: CallPrinter, *, kernel: str, params: str, channel_axis: int) -> None:
    """Print weights, bias, multipliers and shifts, one per channel, and the call.

    Args:
        kernel: Without the type at its end; int16 with int32 sums has ``_narrow`` before it.
    """
    weights = graph.input_tensor(node, 1)
    channels = weights.shape[channel_axis]
    scaling = requantization(graph, node)
    repeat = channels // len(scaling.multipliers)
    activations = kernel_type(graph.output_tensor(node))
    is_narrow = activations == "s16" and not scaling.is_wide
    bias_type, multiplier_type = ("int64_t", "int16_t") if scaling.is_wide else ("int32_t", "int32_t")
    printer.call(
        f"{kernel}{'_narrow' if is_narrow else ''}_{activations}",
        params,
        printer.tensor(node.inputs[0]),
        printer.constant("weights", "int8_t", data_of(weights)),
        printer.constant("bias", bias_type, bias_values(graph, node, channels)),
        printer.constant("multiplier", multiplier_type, np.repeat(np.array(scaling.multipliers), repeat)),
        printer.constant("shift", "int8_t", np.repeat(np.array(scaling.shifts), repeat)),
        printer.tensor(node.outputs[0]),
    )
